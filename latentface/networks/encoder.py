"""The encoder half of the paired generator training: a face crop -> one w."""

from __future__ import annotations

import torch
from torch import nn


class CropEncoder(nn.Module):
    """Crops [N, 3, R, R] in [-1, 1] -> w [N, w_dim]: residual halvings down to 4 x 4, then one linear map.

    Fully convolutional above 4 x 4, so one encoder serves every stage of a growing generator: a stage's pictures enter
    at their own resolution and skip the halvings they do not need.
    """

    def __init__(self, resolution: int, w_dim: int, widths: tuple[int, ...] = (16, 32, 64, 128, 192)) -> None:
        super().__init__()
        self.levels = resolution.bit_length() - 3  # halvings from `resolution` to 4 x 4
        if len(widths) < self.levels:
            raise ValueError(f"{len(widths)} widths for {self.levels} levels: give one a halving")
        widths = widths[-self.levels :]
        self.from_rgb = nn.ModuleList([nn.Conv2d(3, width, 3, padding=1) for width in widths])
        self.halvings = nn.ModuleList(
            [Halving(width, after) for width, after in zip(widths, (*widths[1:], widths[-1]), strict=True)]
        )
        self.head = nn.Linear(widths[-1] * 16, w_dim)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        start = self.levels - (images.shape[-1].bit_length() - 3)
        x = nn.functional.leaky_relu(self.from_rgb[start](images), 0.2)
        for halving in self.halvings[start:]:
            x = halving(x)
        w: torch.Tensor = self.head(x.flatten(1))
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
        h = nn.functional.leaky_relu(self.conv0(self.norm(x)), 0.2)
        h = nn.functional.avg_pool2d(h, 2)
        h = nn.functional.leaky_relu(self.conv1(h), 0.2)
        out: torch.Tensor = h + self.side(nn.functional.avg_pool2d(x, 2))
        return out
