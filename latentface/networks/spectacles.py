"""A small U-Net that finds spectacles: where their frames lie, and where one sees through their glass."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError


@dataclass(frozen=True)
class SpectaclesConfig:
    """Shape of a SpectaclesNet and the part of the face that it sees.

    height, width: of its patch in pixels, multiples of 8. step: inter-ocular distances that a pixel is wide; the middle
    between the eyes lies in the middle of the patch's width. high: how far over the eyes it reaches, in inter-ocular
    distances. widths: channels at 1/1, 1/2, 1/4 and 1/8 of the patch.
    """

    height: int = 80
    width: int = 176
    step: float = 0.0125
    high: float = 0.45
    widths: tuple[int, int, int, int] = (16, 24, 40, 56)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file
        if min(self.height, self.width) < 8 or self.height % 8 or self.width % 8:
            raise UsageError(f"height and width must be multiples of 8, got {self.height} and {self.width}")
        if len(self.widths) != 4 or min(self.widths) < 1:
            raise UsageError(f"widths must be four positive numbers, got {self.widths}")
        if not self.step > 0:
            raise UsageError(f"step must be above 0 inter-ocular distances, got {self.step}")


class _Block(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv1(F.relu(self.conv0(F.relu(x))))
        return y


class SpectaclesNet(nn.Module):
    """Patches [N, 3, H, W] in [-1, 1] -> logits [N, 2, H, W] of frames and of what lies inside of them."""

    def __init__(self, config: SpectaclesConfig) -> None:
        super().__init__()
        self.config = config
        w = config.widths
        self.enter = nn.Conv2d(3, w[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(w))
        self.sink = nn.ModuleList(_Block(c) for c in w)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(w))
        self.rise = nn.ModuleList(_Block(c) for c in w[:-1])
        self.leave = nn.Conv2d(w[0], 2, 1)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits [N, 2, H, W] of patches [N, 3, H, W]."""
        if patches.ndim != 4 or tuple(patches.shape[1:]) != (3, self.config.height, self.config.width):
            expected = f"[N, 3, {self.config.height}, {self.config.width}]"
            raise UsageError(f"SpectaclesNet: expected patches {expected}, got {list(patches.shape)}")
        dtype = self.enter.weight.dtype
        mean = patches.mean((1, 2, 3), keepdim=True)
        spread = patches.std((1, 2, 3), keepdim=True).clamp(min=0.05)
        x = self.enter(((patches - mean) / spread).to(dtype, memory_format=torch.channels_last))
        kept = []
        for level, block in enumerate(self.sink):
            if level:
                x = self.down[level - 1](x)
            x = block(x)
            kept.append(x)
        for level in reversed(range(len(self.rise))):
            x = kept[level] + F.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest")
            x = self.rise[level](x)
        logits: Tensor = self.leave(F.relu(x)).to(patches.dtype)
        return logits
