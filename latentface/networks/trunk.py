"""Shared parts of the networks for face analysis: a small residual encoder, and features of the whole face.

Group normalisation removes each picture's own contrast, which matters when pictures differ from the training data. The
features keep the spatial layout of the encoder's last map, because the position of a brow or a mouth corner matters as
much as its presence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError


@dataclass(frozen=True)
class TrunkConfig:
    """Shape of a FaceTrunk.

    input_size: side of its input square in pixels, a multiple of 16: the lower middle two thirds of an FFHQ crop, which
    contain the face from the brows to the chin and little hair. widths: channels at 1/2, 1/4, 1/8 and 1/16 of it, in
    multiples of 8. summary: channels of the last map that are used for the features. features: length of the feature
    vector.
    """

    input_size: int = 64
    widths: tuple[int, int, int, int] = (24, 48, 96, 160)
    summary: int = 32
    features: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list if it comes from a file
        if self.input_size < 32 or self.input_size % 16:
            raise UsageError(f"input_size must be a multiple of 16 and at least 32, got {self.input_size}")
        if len(self.widths) != 4 or any(width < 8 or width % 8 for width in self.widths):
            raise UsageError(f"widths must be four multiples of 8, got {self.widths}")
        if min(self.summary, self.features) < 1:
            raise UsageError(f"summary and features must be at least 1, got {self.summary} and {self.features}")

    @property
    def frame_scale(self) -> float:
        """Side of the input square, in sides of the crop."""
        return 2 / 3

    @property
    def frame_shift(self) -> float:
        """Distance of the square's centre below the crop's, in sides of the crop."""
        return 1 / 6


class Frame(Protocol):
    """The part of an FFHQ crop that is the input of a network.

    It is a square, `frame_scale` sides of the crop wide, with its centre `frame_shift` sides below the crop's, and is
    resampled to `input_size` pixels.
    """

    @property
    def input_size(self) -> int:
        """Side of the framed picture in pixels."""

    @property
    def frame_scale(self) -> float:
        """Side of the square, in sides of the crop."""

    @property
    def frame_shift(self) -> float:
        """Distance of the square's centre below the crop's, in sides of the crop."""


def framed_part(crops: Tensor, frame: Frame) -> Tensor:
    """The framed part [N, 3, S, S] of FFHQ crops [N, 3, R, R] of any size.

    Where the frame extends beyond the crop, the crop is reflected. Raises UsageError for another shape.
    """
    if crops.ndim != 4 or crops.shape[1] != 3 or crops.shape[2] != crops.shape[3] or crops.shape[2] < 16:
        raise UsageError(f"face crops: expected [N, 3, R, R] with R of 16 or more, got {list(crops.shape)}")
    size, side = frame.input_size, round(frame.input_size / frame.frame_scale)
    if crops.shape[2] != side:
        crops = F.interpolate(crops, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    left, top = (round((0.5 + shift) * side - size / 2) for shift in (0.0, frame.frame_shift))
    below = max(0, top + size - side)
    return F.pad(crops, (0, 0, 0, below), mode="reflect")[:, :, top : top + size, left : left + size]


class ResidualBlock(nn.Module):
    """conv - norm - relu - conv - norm, plus the input (averaged and through a 1x1 where the shape changes)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm0 = group_norm(out_channels)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm1 = group_norm(out_channels)
        same = stride == 1 and in_channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pool: nn.Module = nn.Identity() if stride == 1 else nn.AvgPool2d(2)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """The block's maps of x [N, in, r, r]: [N, out, r / stride, r / stride]."""
        y = F.relu(self.norm0(self.conv0(x)))
        y = self.norm1(self.conv1(y))
        return F.relu(y + self.skip(self.pool(x)))


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation over groups of eight channels."""
    return nn.GroupNorm(channels // 8, channels)


class FaceEncoder(nn.Module):
    """Maps at 1/4, 1/8 and 1/16 of a picture. widths: channels at 1/2, 1/4, 1/8, 1/16; blocks: those of a level."""

    def __init__(self, widths: tuple[int, int, int, int], blocks: int = 1) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.stem = nn.Conv2d(3, half, 3, 2, 1, bias=False)
        self.stem_norm = group_norm(half)
        self.down4 = _level(half, quarter, blocks)
        self.down8 = _level(quarter, eighth, blocks)
        self.down16 = _level(eighth, sixteenth, blocks)
        self.deep = ResidualBlock(sixteenth, sixteenth)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps [N, C, S/4, S/4], [N, C, S/8, S/8] and [N, C, S/16, S/16] of images [N, 3, S, S]."""
        x4 = self.down4(F.relu(self.stem_norm(self.stem(images))))
        x8 = self.down8(x4)
        return x4, x8, self.deep(self.down16(x8))


def _level(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    rest = [ResidualBlock(out_channels, out_channels) for _ in range(blocks - 1)]
    return nn.Sequential(ResidualBlock(in_channels, out_channels, 2), *rest)


class FaceTrunk(FaceEncoder):
    """Framed pictures [N, 3, S, S] in [-1, 1] (see `framed_part`) -> features [N, D]."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__(config.widths)
        self.config = config
        self.summary = nn.Conv2d(config.widths[-1], config.summary, 1)
        self.out = nn.Linear(config.summary * (config.input_size // 16) ** 2, config.features)

    def frame(self, crops: Tensor) -> Tensor:
        """The input [N, 3, S, S] of the network from FFHQ crops [N, 3, R, R] (see `framed_part`)."""
        return framed_part(crops, self.config)

    def summarise(self, framed: Tensor) -> Tensor:
        """The input of the linear map to the features: [N, summary * (S / 16)^2]."""
        return F.relu(self.summary(self.encode(framed)[-1])).flatten(1)

    def forward(self, framed: Tensor) -> Tensor:
        """Features [N, D] of framed pictures [N, 3, S, S] in [-1, 1]."""
        features: Tensor = self.out(self.summarise(framed))
        return features
