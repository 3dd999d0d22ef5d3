"""The recipe of the directions: it finds what scenes do to w."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.emotion import Emotion
from latentface.latents.latent import Direction
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.options.projection import DirectionOptions
from latentface.synthface.factors import FactorCode
from latentface.synthface.scene import UNPAIRED
from latentface.training.directions import FACTORS, SHAPES, Scenes, learn

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8)
WIDTH = CONFIG.w_dim


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG, seed=1)


def axis(number: int) -> np.ndarray:
    return np.eye(WIDTH)[number]


def cosine(direction: Direction, expected: np.ndarray, row: int = 0) -> float:
    found = direction.values[row].double().numpy()
    return float(found @ expected / np.linalg.norm(found) / np.linalg.norm(expected))


def test_the_recipe_finds_what_scenes_do_to_w(generator: Generator) -> None:
    shapes = sorted({shape for group in SHAPES.values() for shape in group})
    names = tuple(name for shape in shapes for name in ([shape] if shape in UNPAIRED else [f"{shape}_L", f"{shape}_R"]))
    code = FactorCode(
        names, {kind: 1 for kind in ("skin", "hair", "brow", "lash", "glasses", "beard")}, identity_modes=2
    )
    random = np.random.default_rng(0)
    factors = random.normal(0, 1, (900, code.length))
    emotions = random.integers(0, len(Emotion), 900)
    effects = random.normal(0, 0.1, (code.length, WIDTH))
    yaw, gaze = code.slices["head"].start, code.slices["gaze"].start + 1
    effects[yaw], effects[gaze] = axis(3), axis(4)
    moods = np.concatenate([np.zeros((1, WIDTH)), random.normal(0, 1, (len(Emotion) - 1, WIDTH))])
    w = factors @ effects + moods[emotions]
    scenes = Scenes(torch.tensor(w).float(), factors, emotions, code)
    found = {each.name: each for each in learn(scenes, generator, DirectionOptions(folds=2))}
    assert set(found) == {e.value for e in Emotion} - {"neutral"} | {*SHAPES, *FACTORS}
    assert cosine(found["yaw"], axis(3)) > 0.95
    assert cosine(found["gaze-up"], -axis(4)) > 0.95
    assert cosine(found["fear"], moods[Emotion.FEAR.index]) > 0.9
    assert (found["fear"].metadata or {})["moves"] == "expression" and (found["yaw"].metadata or {})["moves"] == "head"
