"""Encoders: from a face crop to its latent in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from latentface.errors import UsageError


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of a `LatentEncoder`, and the generator it is for.

    resolution: side of its input pictures, a power of two. widths: channels before each halving, down to 4 x 4;
    multiples of 8. rank: the rank of the differences between the layers' w. fingerprint: that of the generator.
    """

    resolution: int
    num_ws: int
    w_dim: int
    fingerprint: str
    widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    rank: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file


class CropEncoder(nn.Module):
    """Crops [N, 3, R, R] in [-1, 1] -> w [N, w_dim]: residual downsampling to 4 x 4, then one linear map.

    Fully convolutional above 4 x 4, so one encoder serves every stage of a growing generator: the pictures of a stage
    enter at their own resolution and skip the halvings that they do not need.
    """

    def __init__(self, resolution: int, w_dim: int, widths: tuple[int, ...] = (16, 32, 64, 128, 192)) -> None:
        super().__init__()
        self.levels = resolution.bit_length() - 3  # halvings from `resolution` to 4 x 4
        if len(widths) < self.levels:
            raise ValueError(f"{len(widths)} widths for {self.levels} levels: give one for each halving")
        widths = widths[-self.levels :]
        self.from_rgb = nn.ModuleList([nn.Conv2d(3, width, 3, padding=1) for width in widths])
        self.halvings = nn.ModuleList(
            [Halving(width, after) for width, after in zip(widths, (*widths[1:], widths[-1]), strict=True)]
        )
        self.head = nn.Linear(widths[-1] * 16, w_dim)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last map, flattened: [N, 16 * channels]."""
        start = self.levels - (images.shape[-1].bit_length() - 3)
        x = F.leaky_relu(self.from_rgb[start](images), 0.2)
        for halving in self.halvings[start:]:
            x = halving(x)
        return x.flatten(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The code w [N, w_dim] of crops [N, 3, r, r] in [-1, 1], r any of the encoder's own resolutions."""
        w: torch.Tensor = self.head(self.features(images))
        return w


class Halving(nn.Module):
    """[N, in, 2r, 2r] -> [N, out, r, r], residual."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.side = nn.Conv2d(inputs, outputs, 1)
        self.norm = nn.GroupNorm(8, inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half the size of maps [N, in, 2r, 2r]: [N, out, r, r]."""
        h = F.leaky_relu(self.conv0(self.norm(x)), 0.2)
        h = F.avg_pool2d(h, 2)
        h = F.leaky_relu(self.conv1(h), 0.2)
        out: torch.Tensor = h + self.side(F.avg_pool2d(x, 2))
        return out


class LatentEncoder(nn.Module):
    """Crops [N, 3, R, R] in [-1, 1] -> ws [N, num_ws, w_dim] of one generator: one w, and an offset for each layer.

    The offsets start at zero, as in e4e (Tov et al. 2021, section 4): the larger they are, the more accurate the
    reconstruction and the worse its edits.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = CropEncoder(config.resolution, config.w_dim, config.widths)
        self.squeeze = nn.Linear(16 * config.widths[-1], config.rank)
        self.deltas = nn.Linear(config.rank, config.num_ws * config.w_dim)
        self.register_buffer("centre", torch.zeros(config.w_dim))  # the generator's mean w
        nn.init.zeros_(self.deltas.weight)
        nn.init.zeros_(self.deltas.bias)

    centre: torch.Tensor

    def parts(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The code w [N, w_dim], and the offsets of the layers [N, num_ws, w_dim]."""
        features = self.trunk.features(images)
        added = self.deltas(F.leaky_relu(self.squeeze(features), 0.2)).float()
        w = self.centre + self.trunk.head(features).float()
        return w, added.unflatten(1, (self.config.num_ws, self.config.w_dim))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The latents ws; pictures of another size are area-averaged to R. Raises UsageError for another shape."""
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise UsageError(f"pictures of shape {list(images.shape)}: expected face crops [N, 3, S, S]")
        if images.shape[-1] != self.config.resolution:
            images = F.interpolate(images, size=(self.config.resolution,) * 2, mode="area")
        w, added = self.parts(images)
        return w[:, None] + added
