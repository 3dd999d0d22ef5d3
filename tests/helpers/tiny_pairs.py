"""The generator's recipe on pictures of 32 pixels, with a teacher that costs nothing."""

from __future__ import annotations

from pathlib import Path

import torch

from latentface.networks.generator import GeneratorConfig
from latentface.networks.perceptual import FeatureDistance
from latentface.training.data import Pairs
from latentface.training.generator import PairTrainer, Recipe, Stage

TINY = GeneratorConfig(
    resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=16, lr_multiplier=0.1
)
RECIPE = Recipe(
    network=TINY,
    stages=(
        Stage(16, 320, 16),
        Stage(32, 160, 16),
        Stage(32, 48, 12, keep_encoder=True, settle=True, texture=0.2),
    ),
    ema_images=100,
)


class PixelDistance(FeatureDistance):
    """A stand-in for the teacher, which wants pictures of 32 pixels or more: its features are the pixels."""

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (images,)

    def normalise(self, features: torch.Tensor) -> torch.Tensor:
        return features

    def compare(
        self, unit_a: tuple[torch.Tensor, ...], unit_b: tuple[torch.Tensor, ...], attention: torch.Tensor | None = None
    ) -> torch.Tensor:
        return (unit_a[0] - unit_b[0]).abs().mean((1, 2, 3))


def train(pairs: Pairs, out: Path, recipe: Recipe = RECIPE) -> PairTrainer:
    out.mkdir(exist_ok=True)
    trainer = PairTrainer(recipe, pairs, pairs[:8], PixelDistance(), out)
    trainer.run()
    return trainer
