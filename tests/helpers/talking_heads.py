"""Tiny free-view models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from latentface.networks.vid2vid import Head, Vid2VidConfig, Vid2VidModel
from latentface.pretrained.native import write_network

CONFIG = Vid2VidConfig(
    resolution=32, square=0.85, num_keypoints=4, depth=3, volume=2, compress=1, rigid=True, reader="regression",
    reader_widths=(8, 8, 8, 8), reader_features=8, dense_width=4, dense_max=8, dense_blocks=2, dense_kernel=3,
    dense_mix=False, generator_width=4, generator_max=6, generator_blocks=2, bottleneck_blocks=1, blend=True,
)  # fmt: skip


def talking_head(seed: int = 0) -> Vid2VidModel:
    """A random model that shows the warped source itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Vid2VidModel(CONFIG)
        with torch.no_grad():
            out = model.reader.out
            assert isinstance(out, torch.nn.Linear)
            out.bias[6:18] = torch.rand(12) - 0.5  # keypoints that stand apart
            bias = model.generator.final.bias
            assert bias is not None
            model.generator.final.weight[3] = 0
            bias[3] = 50
    return model.eval().requires_grad_(False)


def write_talking_head(path: Path, seed: int = 0) -> Path:
    """The file of a random model."""
    write_network(path, "vid2vid", asdict(CONFIG), talking_head(seed).state_dict(), torch.float32)
    return path


def heads(count: int, keypoints: int = 4, rigid: bool = True, seed: int = 0) -> Head:
    """Heads in random states."""
    random = torch.Generator().manual_seed(seed)
    shape = torch.rand(1, keypoints, 3, generator=random) - 0.5
    return Head(
        shape.expand(count, -1, -1),
        20 * torch.randn(count, 3, generator=random),
        torch.exp(0.1 * torch.randn(count, 1, generator=random)),
        torch.cat([0.1 * torch.randn(count, 2, generator=random), torch.zeros(count, 1)], 1),
        0.05 * torch.randn(count, keypoints, 3, generator=random),
        rigid,
    )
