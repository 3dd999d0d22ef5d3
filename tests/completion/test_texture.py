"""Detail in completed pictures: it comes from the surroundings, and the surroundings stay."""

from __future__ import annotations

import numpy as np
import torch

from latentface.completion.texture import add_detail
from latentface.faces.regions import fill, outline
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet

#: Landmarks of a face whose outline is an ellipse in the middle of a picture of 96 px.
FACE = 48 + 30 * np.stack([np.cos(np.arange(68.0)), np.sin(np.arange(68.0))], axis=1)


def distance() -> PerceptualNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig(widths=(4, 4, 4), depths=(1, 1, 1)))


def test_a_smooth_hole_becomes_as_grainy_as_its_rim() -> None:
    random = np.random.default_rng(0)
    picture = (128 + random.normal(0, 12, (96, 96, 3))).astype(np.float32)
    hole = np.zeros((96, 96), bool)
    hole[36:60, 36:60] = True
    picture[hole] = 128
    made = add_detail(picture, hole, FACE, 1.0, distance())
    assert np.array_equal(made[~hole], picture[~hole])
    grain, around = made[40:56, 40:56].std(), picture[:30, :30].std()
    assert 0.6 * around < grain < 1.3 * around


def test_a_hole_without_surroundings_stays_as_it_is() -> None:
    picture = np.full((40, 40, 3), 9, np.float32)
    hole = np.ones((40, 40), bool)
    hole[0, 0] = False
    assert np.array_equal(add_detail(picture, hole, FACE, 1.0, distance()), picture)


def test_skin_does_not_become_as_rough_as_what_is_beside_it() -> None:
    random = np.random.default_rng(0)
    face = fill(outline([FACE], 0.0), (96, 96))
    strong = np.where(face, 1, 20)[..., None]
    picture = (128 + strong * random.normal(0, 1, (96, 96, 3))).astype(np.float32)
    hole = np.zeros((96, 96), bool)
    hole[40:70, 10:86] = True
    picture[hole] = 128
    made = add_detail(picture, hole, FACE, 1.0, distance())
    assert made[hole & face].std() < 3
    assert made[hole & ~face].std() > 3
