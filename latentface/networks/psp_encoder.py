"""Encoders of photos into W+: pixel2style2pixel (Richardson et al. 2021) and encoder4editing (Tov et al. 2021).

Both are a face-recognition backbone (IR-SE-50: residual units with squeeze and excitation), a feature pyramid over its
last three scales, and one head for each row of w. Parameters have the names used in the published files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
import torch.nn.functional as F
from torch import nn

from latentface.errors import UsageError
from latentface.networks.layers import EqualLinear

# rows of w before COARSE come from the coarsest features, those before MIDDLE from the middle ones, then the finest
COARSE, MIDDLE = 3, 7
REDUCTION = 16  # channels to the bottleneck of squeeze and excitation


@dataclass(frozen=True)
class PspConfig:
    """Shape of a PspEncoder.

    num_ws: rows of w. deltas: the rows after the first are differences from it (e4e). input_size: side of its input
    pictures, a power of two. widths, units: channels and residual units of the four scales, each half the one before.
    """

    num_ws: int
    deltas: bool
    input_size: int = 256
    widths: tuple[int, ...] = (64, 128, 256, 512)
    units: tuple[int, ...] = (3, 4, 14, 3)


class PspEncoder(nn.Module):
    """Images [N, 3, R, R] in [-1, 1] -> ws [N, num_ws, w_dim]; w_dim is the width of the coarsest scale.

    Images of another size than `input_size` are resized to it. `latent_avg` [num_ws, w_dim] is the mean code to which
    the outputs of the heads are added.
    """

    latent_avg: torch.Tensor

    def __init__(self, config: PspConfig) -> None:
        super().__init__()
        self.config = config
        first, fine, middle, coarse = config.widths
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        scales = zip(pairwise((first, *config.widths)), config.units, strict=True)
        self.body = nn.Sequential(
            *(
                ResidualUnit(width if unit else before, width, 1 if unit else 2)
                for (before, width), count in scales
                for unit in range(count)
            )
        )
        self.styles = nn.ModuleList(
            [StyleHead(coarse, config.input_size >> _halvings(row)) for row in range(config.num_ws)]
        )
        self.latlayer1 = nn.Conv2d(middle, coarse, 1)
        self.latlayer2 = nn.Conv2d(fine, coarse, 1)
        self.register_buffer("latent_avg", torch.zeros(config.num_ws, coarse))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The codes ws [N, num_ws, w_dim] of images [N, 3, R, R]; UsageError for another shape."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise UsageError(f"PspEncoder: expected images [N, 3, R, R], got {list(images.shape)}")
        coarse, middle, fine = self._scales(_resize(images, self.config.input_size))
        middle = _stretch(coarse, middle.shape) + self.latlayer1(middle)
        fine = _stretch(middle, fine.shape) + self.latlayer2(fine)
        features = {4: coarse, 3: middle, 2: fine}
        codes = torch.stack([head(features[_halvings(row)]) for row, head in enumerate(self.styles)], 1)
        if self.config.deltas:
            first, rest = codes[:, :1], codes[:, 1:]
            codes = torch.cat([first, first + rest], 1)
        return codes + self.latent_avg

    def _scales(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The backbone's features at 1/16, 1/8 and 1/4 of the side."""
        x, start, found = self.input_layer(images), 0, []
        for count in self.config.units:
            x = self.body[start : start + count](x)
            start += count
            found.append(x)
        return found[3], found[2], found[1]


class ResidualUnit(nn.Module):
    """[N, in, r, r] -> [N, out, r / stride, r / stride]: the improved residual unit of ArcFace (Deng et al. 2019)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcitation(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of the unit's two branches for x [N, in, r, r]."""
        out: torch.Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return out


class SqueezeExcitation(nn.Module):
    """Each channel scaled by a gate in (0, 1) computed from the means of all (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The maps x [N, C, r, r], each channel times its gate."""
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))
        return x * gate


class StyleHead(nn.Module):
    """Features [N, C, s, s] -> one row of w [N, C]: downsampling to one pixel, then a linear map."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        halvings = size.bit_length() - 1
        layers = [(nn.Conv2d(channels, channels, 3, 2, 1), nn.LeakyReLU(0.01)) for _ in range(halvings)]
        self.convs = nn.Sequential(*(layer for pair in layers for layer in pair))
        self.linear = EqualLinear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The row of w [N, C] for features [N, C, s, s]."""
        w: torch.Tensor = self.linear(self.convs(x).flatten(1))
        return w


def infer_config(state: Mapping[str, torch.Tensor], deltas: bool) -> PspConfig:
    """The config of an encoder with these tensors; UsageError if they do not belong to such an encoder.

    Args:
        state: names and tensors of the published file.
        deltas: as in `PspConfig`; names and shapes of pSp and e4e are the same.
    """
    stem = state.get("input_layer.0.weight")
    if stem is None or "latlayer2.weight" not in state or "styles.0.linear.weight" not in state:
        raise UsageError("an encoder without feature pyramid and heads")
    if stem.ndim != 4 or stem.shape[1] != 3:
        raise UsageError(f"an encoder of {stem.shape[1]} input channels (ReStyle refines in steps)")
    outputs: list[int] = []
    while (weight := state.get(f"body.{len(outputs)}.res_layer.3.weight")) is not None:
        outputs.append(weight.shape[0])
    scales = [(width, len(list(same))) for width, same in groupby(outputs)]
    if len(scales) != 4:
        raise UsageError(f"an encoder of {len(scales)} scales")
    widths, units = zip(*scales, strict=True)
    convs = sum(bool(re.fullmatch(r"styles\.0\.convs\.\d+\.weight", name)) for name in state)
    num_ws = sum(bool(re.fullmatch(r"styles\.\d+\.linear\.weight", name)) for name in state)
    return PspConfig(num_ws, deltas, input_size=16 << convs, widths=widths, units=units)


def _halvings(row: int) -> int:
    """The number of halvings of the features that are the input of a row's head."""
    return 4 if row < COARSE else 3 if row < MIDDLE else 2


def _resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Resize by area averaging when shrinking, as in the encoders' training, and bilinearly when enlarging."""
    if images.shape[2:] == (size, size):
        return images
    if min(images.shape[2:]) >= size:
        return F.interpolate(images, (size, size), mode="area")
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False)


def _stretch(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    return F.interpolate(x, shape[2:], mode="bilinear", align_corners=True)
