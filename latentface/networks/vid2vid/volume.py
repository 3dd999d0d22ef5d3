"""Blocks of volumes of features [N, C, D, H, W], with the names of the published checkpoints.

Depth is never halved: halving and doubling act on height and width alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VolumeConv(nn.Module):
    """conv 3 x 3 x 3 - norm - relu: [N, in, D, h, w] -> [N, out, D, h, w]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """The block at the same size."""
        return F.relu(self.norm(self.conv(x)))


class VolumeDown(VolumeConv):
    """[N, in, D, 2h, 2w] -> [N, out, D, h, w]."""

    def forward(self, x: Tensor) -> Tensor:
        """The output of the block, averaged over 2 x 2 columns."""
        return F.avg_pool3d(super().forward(x), (1, 2, 2))


class VolumeUp(VolumeConv):
    """[N, in, D, h, w] -> [N, out, D, 2h, 2w]."""

    def forward(self, x: Tensor) -> Tensor:
        """The block applied to volumes after nearest-neighbour upsampling."""
        return super().forward(F.interpolate(x, scale_factor=(1.0, 2.0, 2.0), mode="nearest"))


class VolumeResidual(nn.Module):
    """x + conv2(relu(norm2(conv1(relu(norm1(x)))))), all [N, C, D, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of x and its residual, like x."""
        y = self.conv1(F.relu(self.norm1(x)))
        out: Tensor = x + self.conv2(F.relu(self.norm2(y)))
        return out


class _Encoder(nn.Module):
    def __init__(self, inputs: int, widths: list[int]) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(map(VolumeDown, [inputs, *widths[1:-1]], widths[1:]))


class _Decoder(nn.Module):
    def __init__(self, inputs: int, widths: list[int], mix: bool) -> None:
        super().__init__()
        steps = zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True)
        self.up_blocks = nn.ModuleList(VolumeUp((1 + bool(k)) * below, out) for k, (below, out) in enumerate(steps))
        if mix:
            self.conv = nn.Conv3d(widths[0] + inputs, widths[0] + inputs, 3, padding=1)
            self.norm = nn.BatchNorm3d(widths[0] + inputs)
        self.mix = mix


class VolumeHourglass(nn.Module):
    """Encoder and decoder with skips: [N, in, D, h, w] -> [N, width + in, D, h, w].

    mix: a further convolution over all channels at the end.
    """

    def __init__(self, inputs: int, width: int, blocks: int, most: int, mix: bool) -> None:
        super().__init__()
        widths = [min(most, width * 2**level) for level in range(blocks + 1)]
        self.encoder, self.decoder = _Encoder(inputs, widths), _Decoder(inputs, widths, mix)
        self.channels = widths[0] + inputs

    def forward(self, x: Tensor) -> Tensor:
        """The volumes of x, both sides multiples of 2^blocks."""
        levels = [x]
        for block in self.encoder.down_blocks:
            levels.append(block(levels[-1]))
        out = levels.pop()
        for block in self.decoder.up_blocks:
            out = torch.cat([block(out), levels.pop()], dim=1)
        return F.relu(self.decoder.norm(self.decoder.conv(out))) if self.decoder.mix else out
