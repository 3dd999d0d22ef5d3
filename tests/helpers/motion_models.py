"""A tiny motion model, and a driver whose made-up face wanders about."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import torch

from latentface.arrays import Pixels
from latentface.io.clip import Clip, Sound
from latentface.networks.motion import MotionConfig, MotionModel
from latentface.options.clips import AnimateOptions
from latentface.pretrained.native import write_network

CONFIG = MotionConfig(
    resolution=32, num_keypoints=4, scale=0.5, keypoint_width=4, keypoint_max=8, keypoint_blocks=2, dense_width=4,
    dense_max=8, dense_blocks=2, generator_width=4, generator_max=8, bottleneck_blocks=1, blend=True,
)  # fmt: skip
SKIN = (224, 172, 140)
by_keypoints = partial(AnimateOptions, engine="motion")


def motion_model(seed: int = 0, painting: bool = False) -> MotionModel:
    """A random model that shows the warped source itself, or, `painting`, what it paints."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MotionModel(CONFIG)
    bias = model.generator.final.bias
    assert bias is not None
    with torch.no_grad():
        model.generator.final.weight[3] = 0
        bias[3] = -50 if painting else 50
        model.kp_detector.kp.weight *= 30  # points that stand apart
    return model.eval().requires_grad_(False)


def write_motion_model(path: Path, seed: int = 0) -> Path:
    model = motion_model(seed)
    write_network(path, "motion", asdict(CONFIG), model.state_dict(), torch.float32)
    return path


def wandering(k: int, face: bool = True, side: int = 90) -> Pixels:
    """Frame k: a skin-coloured block with eyes and mouth on a graded ground, k pixels further right."""
    y, x = np.mgrid[:140, :180]
    frame = np.stack([30 + x // 3, 60 + y // 3, 120 + 0 * x], axis=-1).astype(np.uint8)
    if face:
        left, top = 40 + k, 25
        frame[top : top + side, left : left + side] = SKIN
        for u, v, w, h in ((0.22, 0.33, 0.16, 0.08), (0.62, 0.33, 0.16, 0.08), (0.3, 0.7, 0.4, 0.02 * (k % 5) + 0.05)):
            row, column = top + round(v * side), left + round(u * side)
            frame[row : row + round(h * side), column : column + round(w * side)] = (60, 30, 30)
    return frame


class Wander:
    """Frames that can be gone through again and again, as those of a file."""

    def __init__(self, count: int, faceless: tuple[int, ...] = (), rate: Fraction | int = 25) -> None:
        self.pictures = [wandering(k, k not in faceless) for k in range(count)]
        self.rate = Fraction(rate)

    def __iter__(self):
        return iter(Clip.of(self.pictures, self.rate, (180, 140)))

    def clip(self, sound: Sound | None = None) -> Clip:
        return Clip(self, self.rate, (180, 140), len(self.pictures), sound=sound)


def best_skin(picture: Pixels, least: float) -> float:
    """A stand-in for the detector's score: high where much of the picture is skin."""
    share = float((np.abs(picture.astype(int) - SKIN) < 24).all(2).mean())
    return 1.0 if share > 0.1 else -1.0
