"""Photos in one tone keep it; photos in colour are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.arrays import Float32Array, Pixels
from latentface.completion.tone import keep_tone


def _toned(grey: Float32Array, tint: tuple[float, float, float]) -> Pixels:
    curved = (grey[..., None] / 255) ** np.array(tint)
    return np.rint(255 * curved).astype(np.uint8)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.85, 1.0, 1.25)])
def test_what_is_painted_has_the_tone_of_the_photo(tint: tuple[float, float, float]) -> None:
    grey = np.linspace(10, 245, 40 * 60, dtype=np.float32).reshape(40, 60)
    photo, hole = _toned(grey, tint), np.zeros((40, 60), bool)
    hole[10:30, 20:40] = True
    content = photo.astype(np.float32)
    content[hole] += (30, -20, -10)  # of the same lightness, in another colour
    made = keep_tone(content, photo, hole)
    assert np.abs(made[hole] - photo[hole]).max() < 3
    assert np.array_equal(made[~hole], content[~hole])


def test_photos_in_colour_stay_as_they_are() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    hole = np.zeros((40, 60), bool)
    hole[:10] = True
    content = photo.astype(np.float32)
    assert keep_tone(content, photo, hole) is content
