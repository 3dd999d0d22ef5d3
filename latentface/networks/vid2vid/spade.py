"""Decoder with spatially adaptive normalisation (Park et al., CVPR 2019), with the names of published checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.networks.vid2vid.config import Vid2VidConfig

HIDDEN = 128  # channels between the guiding features and the normalisation's scale and shift
SLOPE = 0.2


class Spade(nn.Module):
    """Instance normalisation whose scale and shift at every place follow from guiding features."""

    def __init__(self, channels: int, guide: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(guide, HIDDEN, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(HIDDEN, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(HIDDEN, channels, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """X [N, C, h, w], normalised, by a guide [N, G, h', w']."""
        hidden = self.mlp_shared(F.interpolate(guide, size=x.shape[2:], mode="nearest"))
        out: Tensor = F.instance_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)
        return out


class SpadeResidual(nn.Module):
    """Two convolutions behind `Spade`, added to the input, or to a 1 x 1 convolution of it where channels change."""

    def __init__(self, inputs: int, outputs: int, guide: int) -> None:
        super().__init__()
        inside = min(inputs, outputs)
        self.conv_0, self.norm_0 = nn.Conv2d(inputs, inside, 3, padding=1), Spade(inputs, guide)
        self.conv_1, self.norm_1 = nn.Conv2d(inside, outputs, 3, padding=1), Spade(inside, guide)
        self.changes = inputs != outputs
        if self.changes:
            self.conv_s, self.norm_s = nn.Conv2d(inputs, outputs, 1, bias=False), Spade(inputs, guide)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """The block's maps, as large as x."""
        own = self.conv_s(self.norm_s(x, guide)) if self.changes else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, guide), SLOPE))
        out: Tensor = own + self.conv_1(F.leaky_relu(self.norm_1(y, guide), SLOPE))
        return out


class SpadeDecoder(nn.Module):
    """Features [N, C, h, w] -> picture [N, 3, 4h, 4w] in [0, 1]; the features guide every normalisation."""

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        inner, self.blocks = config.inner, config.bottleneck_blocks
        self.fc = nn.Conv2d(inner, 2 * inner, 3, padding=1)
        for k in range(self.blocks):
            self.add_module(f"G_middle_{k}", SpadeResidual(2 * inner, 2 * inner, inner))
        self.up_0 = SpadeResidual(2 * inner, inner, inner)
        self.up_1 = SpadeResidual(inner, config.generator_width, inner)
        self.conv_img = nn.Conv2d(config.generator_width, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """The picture."""
        x = self.fc(features)
        for k in range(self.blocks):
            x = self.get_submodule(f"G_middle_{k}")(x, features)
        for block in (self.up_0, self.up_1):
            x = block(F.interpolate(x, scale_factor=2.0, mode="nearest"), features)
        return torch.sigmoid(self.conv_img(F.leaky_relu(x, SLOPE)).float())
