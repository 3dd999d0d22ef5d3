"""Building blocks of the First Order Motion Model, with the names of the published checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """conv - norm - relu. Once its norm is folded into its convolution (`inference.fold`), the norm is an identity.

    slope: of the relu below 0.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, slope: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """The block at the same size: [N, in, h, w] -> [N, out, h, w]."""
        y = self.norm(self.conv(x))
        return F.leaky_relu(y, self.slope) if self.slope else F.relu(y)


class Same(ConvNorm):
    """A 7 x 7 convolution at the same size: [N, in, h, w] -> [N, out, h, w]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 7)


class Down(ConvNorm):
    """[N, in, 2h, 2w] -> [N, out, h, w]."""

    def forward(self, x: Tensor) -> Tensor:
        """The output of the block, averaged over 2 x 2 pixels."""
        return F.avg_pool2d(super().forward(x), 2)


class Up(ConvNorm):
    """[N, in, h, w] -> [N, out, 2h, 2w]."""

    def forward(self, x: Tensor) -> Tensor:
        """The block applied to maps after nearest-neighbour upsampling."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Residual(nn.Module):
    """x + conv2(relu(norm2(conv1(relu(norm1(x)))))), all [N, C, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1: nn.Module = nn.BatchNorm2d(channels)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of x and its residual, like x."""
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        out: Tensor = x + y
        return out


class Encoder(nn.Module):
    """x [N, in, h, w] -> [x, half, quarter, ...], each level with twice the channels up to `most`."""

    def __init__(self, inputs: int, width: int, blocks: int, most: int) -> None:
        super().__init__()
        outputs = [min(most, width * 2 ** (level + 1)) for level in range(blocks)]
        self.down_blocks = nn.ModuleList(map(Down, [inputs, *outputs[:-1]], outputs))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The levels of x, finest first: `blocks` + 1 of them, x itself among them."""
        levels = [x]
        for block in self.down_blocks:
            levels.append(block(levels[-1]))
        return levels


class Decoder(nn.Module):
    """The encoder's levels -> [N, width + in, h, w]; each upsampled map is concatenated with the level of its size."""

    def __init__(self, inputs: int, width: int, blocks: int, most: int) -> None:
        super().__init__()
        steps = []
        for level in reversed(range(blocks)):
            below = min(most, width * 2 ** (level + 1))
            steps.append(Up(below if level == blocks - 1 else 2 * below, min(most, width * 2**level)))
        self.up_blocks = nn.ModuleList(steps)
        self.channels = width + inputs

    def forward(self, levels: list[Tensor]) -> Tensor:
        """The maps [N, width + in, h, w] of an encoder's levels, finest first."""
        out = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            out = torch.cat([block(out), skip], dim=1)
        return out


class Hourglass(nn.Module):
    """Encoder and decoder: [N, in, h, w] -> [N, channels, h, w]."""

    def __init__(self, inputs: int, width: int, blocks: int, most: int) -> None:
        super().__init__()
        self.encoder = Encoder(inputs, width, blocks, most)
        self.decoder = Decoder(inputs, width, blocks, most)
        self.channels = self.decoder.channels

    def forward(self, x: Tensor) -> Tensor:
        """The maps [N, channels, h, w] of x [N, in, h, w], both sides multiples of 2^blocks."""
        out: Tensor = self.decoder(self.encoder(x))
        return out


class AntiAlias(nn.Module):
    """Gaussian low pass of sigma (1/scale - 1) / 2, then subsampling to every (1/scale)-th pixel.

    Maps [N, C, h, w] -> [N, C, scale * h, scale * w]. The kernel `weight` [C, 1, k, k] is a buffer because published
    checkpoints contain it.
    """

    weight: Tensor

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        sigma = (1 / scale - 1) / 2
        side = 2 * round(4 * sigma) + 1
        line = torch.exp(-((torch.arange(side) - side // 2) ** 2) / (2 * sigma**2))
        kernel = line[:, None] * line / line.sum() ** 2
        self.register_buffer("weight", kernel.expand(channels, 1, side, side).clone())
        self.stride = round(1 / scale)

    def forward(self, x: Tensor) -> Tensor:
        """The smoothed and subsampled maps of x [N, C, h, w]."""
        channels, _, side, _ = self.weight.shape
        return F.conv2d(x, self.weight, stride=self.stride, padding=side // 2, groups=channels)


def anti_alias(channels: int, scale: float) -> nn.Module:
    """`AntiAlias`, or an identity without a buffer at scale 1."""
    return AntiAlias(channels, scale) if scale != 1 else nn.Identity()
