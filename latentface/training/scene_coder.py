"""The coder of a generator in training: (render, scene) -> w."""

from __future__ import annotations

import copy
import os

import numpy as np
import torch
from torch import nn

from latentface.networks.encoder import CropEncoder
from latentface.pretrained.native import build_network, write_network
from latentface.training.data import Pairs

KIND = "scene-coder"


class SceneCoder(nn.Module):
    """Crops [N, 3, R, R] in [-1, 1] and factors [N, P] (`synthface.factors`) -> w [N, w_dim].

    The scene supplies what a small encoder misses in the render: w is the sum of the encoder's output and a map of the
    factors, one linear layer plus a two-layer correction. The linear path keeps a step in one factor (a smile, a turn
    of the head) close to one direction of w.
    """

    def __init__(self, resolution: int, factors: int, w_dim: int, width: int = 512) -> None:
        super().__init__()
        self.config = {"resolution": resolution, "factors": factors, "w_dim": w_dim, "width": width}
        self.encoder = CropEncoder(resolution, w_dim)
        self.straight = nn.Linear(factors, w_dim)
        last = nn.Linear(width, w_dim)
        self.bend = nn.Sequential(nn.Linear(factors, width), nn.LeakyReLU(0.2), last)
        for layer in (self.straight, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """The codes w [N, w_dim] of crops [N, 3, R, R] and their factors [N, P]."""
        w: torch.Tensor = self.encoder(images) + self.straight(factors) + self.bend(factors)
        return w


@torch.no_grad()
def code_all(coder: SceneCoder, pairs: Pairs, resolution: int) -> torch.Tensor:
    """The codes [n, w_dim] of all pairs, seen at `resolution`."""
    parts = np.array_split(np.arange(len(pairs)), max(1, len(pairs) // 64))
    return torch.cat([coder(pairs.batch(part, resolution)[0], pairs.factors[part]) for part in parts])


@torch.no_grad()
def write_coder(path: str | os.PathLike[str], coder: SceneCoder, moved: torch.Tensor) -> None:
    """Write the coder of a generator whose codes were moved by `moved` [w_dim]; raises as `write_network`."""
    coder = copy.deepcopy(coder)
    coder.straight.bias.add_(moved)
    write_network(path, KIND, coder.config, coder.state_dict(), torch.float32)


def read_coder(path: str | os.PathLike[str]) -> SceneCoder:
    """A file that `write_coder` wrote; raises as `build_network`."""
    return build_network(path, KIND, lambda config: SceneCoder(**config))
