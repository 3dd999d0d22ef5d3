"""Openings to the pixel: polygons, the contour of best contrast, and a segmentation that sees through bad labels."""

from __future__ import annotations

import numpy as np

from latentface.training.mouth_openings import (
    INNER,
    OpeningOptions,
    contrast_contour,
    fill_polygon,
    largest_part,
    learn_openings,
)
from tests.helpers.drawn_mouths import drawn_mouth


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_polygon_covers_its_area():
    square = np.array([[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]])
    filled = fill_polygon(square, 40, 40)
    assert filled.shape == (40, 40) and filled[12:18, 12:18].min() == 255
    assert abs(filled.sum() / 255 - 100) < 8 and filled[:9].max() == 0


def test_only_the_largest_part_stays():
    opening = np.zeros((20, 20), np.uint8)
    opening[2:4, 2:4], opening[10:15, 5:15] = 255, 200
    assert (largest_part(opening)[10:15, 5:15] == 200).all() and largest_part(opening)[:5].max() == 0


def test_the_contour_finds_lips_that_landmarks_miss():
    mouth = drawn_mouth(edge=0.0, bottom=56.0)
    points = mouth.points.copy()
    points[[65, 66, 67], 1] -= 8  # the lower lip is taken for higher
    before = fill_polygon(points[INNER], 80, 96) > 127
    after = fill_polygon(contrast_contour(mouth.image, points), 80, 96) > 127
    assert overlap(after, mouth.opening) > max(0.8, overlap(before, mouth.opening) + 0.1)


def test_the_segmentation_is_better_than_what_it_was_taught():
    noise = np.random.default_rng(0)
    mouths = [drawn_mouth(i, edge=30 + i % 9, bottom=40 + i % 7, top=24 + i % 4) for i in range(24)]
    wrong = [mouth.points + noise.normal(0, 2.5, 2) for mouth in mouths]
    images = np.stack([mouth.image for mouth in mouths])
    losses: list[float] = []
    options = OpeningOptions(steps=80, batch=8, learning_rate=5e-3, bfloat16=False)
    found = learn_openings(
        images, np.stack(wrong), np.ones(24), options, on_step=lambda step, loss: losses.append(loss)
    )
    assert found.shape == (24, 2, 80, 96) and found.dtype == np.uint8
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    taught = [overlap(fill_polygon(p[INNER], 80, 96) > 127, m.opening) for p, m in zip(wrong, mouths, strict=True)]
    learnt = [overlap(f[0] > 127, m.opening) for f, m in zip(found, mouths, strict=True)]
    assert np.mean(learnt) > np.mean(taught) + 0.02
    assert (found[:, 1] > 127).sum() > 1.2 * (found[:, 0] > 127).sum()
