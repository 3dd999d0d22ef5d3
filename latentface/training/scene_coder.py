"""Render and scene -> w: what ties the latent space of a generator in training to the faces it draws."""

from __future__ import annotations

import torch
from torch import nn

from latentface.networks.encoder import CropEncoder


class SceneCoder(nn.Module):
    """Crops [N, 3, R, R] in [-1, 1] and factors [N, P] (`synthface.factors`) -> w [N, w_dim].

    What a small encoder misses of a render, its scene says: w is the sum of the encoder's answer and a map of the
    factors, one linear layer plus a two-layer correction. The linear path keeps a step in one factor (a smile, a turn
    of the head) close to one direction of w.
    """

    def __init__(self, resolution: int, factors: int, w_dim: int, width: int = 512) -> None:
        super().__init__()
        self.encoder = CropEncoder(resolution, w_dim)
        self.straight = nn.Linear(factors, w_dim)
        last = nn.Linear(width, w_dim)
        self.bend = nn.Sequential(nn.Linear(factors, width), nn.LeakyReLU(0.2), last)
        for layer in (self.straight, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        w: torch.Tensor = self.encoder(images) + self.straight(factors) + self.bend(factors)
        return w
