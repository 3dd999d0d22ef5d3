"""A pasted region whose border fits."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.completion.harmonisation import match_border


def scene() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    photo = (120 + 0.5 * x + 10 * np.sin(y / 3))[..., None] * np.array([1.1, 0.9, 0.7], np.float32)
    region = np.zeros((60, 80), bool)
    region[20:45, 25:60] = True
    return photo.astype(np.float32), region


def test_a_cast_of_colour_is_taken_off() -> None:
    photo, region = scene()
    pasted = photo.copy()
    pasted[region] *= np.array([0.7, 0.85, 1.2], np.float32)
    made = match_border(photo, pasted, region)
    assert np.array_equal(made[~region], photo[~region])
    assert np.abs(pasted - photo)[region].mean() > 20
    assert np.abs(made - photo)[region].mean() < 5


def test_content_stays() -> None:
    photo, region = scene()
    pasted = photo * 0.8
    pasted[30:35, 40:45] = 10.0
    made = match_border(photo, pasted, region)
    assert made[32, 42].max() < 40
    assert made[32, 30] == pytest.approx(photo[32, 30], rel=0.05)


def test_a_region_at_the_edge_of_the_photo_and_none_at_all() -> None:
    photo, _ = scene()
    region = np.zeros((60, 80), bool)
    assert np.array_equal(match_border(photo, photo * 0.5, region), photo)
    region[:20, :30] = True
    made = match_border(photo, photo * 0.8, region)
    assert np.abs(made - photo)[region].mean() < 6
