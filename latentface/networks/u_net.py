"""A small U-Net without normalisation, from pictures to a few logits for each of their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError


class _Block(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv1(F.relu(self.conv0(F.relu(x))))
        return y


class UNet(nn.Module):
    """Pictures [N, 3, H, W] in [-1, 1] -> logits [N, C, H, W]; their mean and contrast are removed.

    Args:
        height: of the pictures, a multiple of 2 for each width beyond the first.
        width: the same.
        widths: channels at 1/1, 1/2, 1/4 ... of the picture.
        maps: logits for each pixel, C.
    """

    def __init__(self, height: int, width: int, widths: Sequence[int], maps: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.enter = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(widths))
        self.sink = nn.ModuleList(_Block(c) for c in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.rise = nn.ModuleList(_Block(c) for c in widths[:-1])
        self.leave = nn.Conv2d(widths[0], maps, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits [N, C, H, W] of pictures [N, 3, H, W]."""
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (3, self.height, self.width):
            expected = f"[N, 3, {self.height}, {self.width}]"
            raise UsageError(f"{type(self).__name__}: expected pictures {expected}, got {list(pictures.shape)}")
        dtype = self.enter.weight.dtype
        mean = pictures.mean((1, 2, 3), keepdim=True)
        spread = pictures.std((1, 2, 3), keepdim=True).clamp(min=0.05)
        x = self.enter(((pictures - mean) / spread).to(dtype, memory_format=torch.channels_last))
        kept = []
        for level, block in enumerate(self.sink):
            if level:
                x = self.down[level - 1](x)
            x = block(x)
            kept.append(x)
        for level in reversed(range(len(self.rise))):
            x = kept[level] + F.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest")
            x = self.rise[level](x)
        logits: Tensor = self.leave(F.relu(x)).to(pictures.dtype)
        return logits


def check_shape(height: int, width: int, widths: Sequence[int]) -> None:
    """Raise UsageError unless a UNet can have that shape."""
    unit = 2 ** (len(widths) - 1)
    if min(widths) < 1:
        raise UsageError(f"widths must be positive numbers, got {tuple(widths)}")
    if min(height, width) < unit or height % unit or width % unit:
        raise UsageError(f"height and width must be multiples of {unit}, got {height} and {width}")


@dataclass(frozen=True)
class CropMapConfig:
    """Shape of a CropMap.

    size: pixels of a side of its picture, a face as `latentface.align` crops it. widths: channels at 1/1, 1/2, 1/4 ...
    of the picture.
    """

    size: int = 128
    widths: tuple[int, ...] = (12, 20, 32, 48, 64)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file
        if len(self.widths) < 2:
            raise UsageError(f"widths must be two numbers or more, got {self.widths}")
        check_shape(self.size, self.size, self.widths)


class CropMap(UNet):
    """Crops [N, 3, S, S] in [-1, 1] -> logits [N, 1, S, S] of one property of each pixel."""

    def __init__(self, config: CropMapConfig) -> None:
        super().__init__(config.size, config.size, config.widths, 1)
        self.config = config
