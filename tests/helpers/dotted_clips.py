"""Clips with a dot that is a landmark, and a motion model's training on them that takes milliseconds a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from latentface.networks.motion import MotionModel
from latentface.training.motion import MotionTrainer
from latentface.training.motion_data import GUIDES, Clips
from latentface.training.motion_recipe import Recipe, Stage
from tests.helpers.motion_models import CONFIG

TINY = Recipe(
    network=replace(CONFIG, num_keypoints=len(GUIDES), scale=0.5), stages=(Stage(16, 8, 4), Stage(32, 8, 4)), pixel=1.0,
    guide_weight=1.0, learning_rate=1e-3, warm_up=4,
)  # fmt: skip


class Pixels(torch.nn.Module):
    """A perceptual network's stand-in."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).square().mean()


def dotted(count: int = 6, frames: int = 3, side: int = 64) -> Clips:
    """Black pictures with a white dot at landmark 30, the others scattered."""
    rng = np.random.default_rng(0)
    pictures, landmarks = [], []
    for _ in range(count):
        points = rng.uniform(12, side - 13, (frames, 68, 2)).astype(np.float32)
        points[:, 30] = points[:, 30].round()
        clip = np.zeros((frames, side, side, 3), np.uint8)
        for k in range(frames):
            x, y = points[k, 30].astype(int)
            clip[k, y - 1 : y + 2, x - 1 : x + 2] = 255
        pictures.append(clip)
        landmarks.append(points)
    return Clips(tuple(pictures), tuple(map(str, range(count))), tuple(landmarks))


def trainer(out: Path, recipe: Recipe = TINY) -> MotionTrainer:
    out.mkdir(exist_ok=True)
    return MotionTrainer(recipe, dotted(side=32), dotted(2, side=32), Pixels(), out, bfloat16=False)


def weights_of(model: MotionModel) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]
