"""Photos in one tint are told from photos with colours."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.head.tint import NEUTRAL, find_tint

GREY = np.repeat(np.random.default_rng(0).integers(0, 256, (120, 100, 1)).astype(np.uint8), 3, axis=2)


def sepia(grey: np.ndarray) -> np.ndarray:
    return np.rint(30 + grey * (0.85, 0.75, 0.55)).astype(np.uint8)


def test_grey_stays_grey_to_the_bit() -> None:
    assert find_tint(GREY) is NEUTRAL
    assert np.array_equal(np.rint(NEUTRAL(GREY)), GREY)
    coloured = NEUTRAL(np.array([30, 60, 90], np.uint8))
    assert coloured == pytest.approx([60, 60, 60], abs=1e-4) and np.ptp(coloured) == 0


def test_a_print_has_the_colours_of_its_tint() -> None:
    tint = find_tint(sepia(GREY))
    assert tint is not None
    red_lips = np.array([[200, 90, 90], [60, 30, 20]], np.uint8)
    found = tint(red_lips)
    assert found == pytest.approx(tint(np.repeat(red_lips.mean(1, keepdims=True), 3, 1)), abs=1e-3)
    assert (np.diff(found, axis=1) < 0).all()  # brown, as all of the print


def test_what_compression_leaves_is_no_colour_but_a_coloured_detail_is() -> None:
    noise = np.random.default_rng(1).normal(0, 1.2, GREY.shape)
    assert find_tint((GREY + noise).clip(0, 255).astype(np.uint8)) is not None
    detail = GREY.copy()
    detail[40:52, 40:52] = (150, 90, 60)
    assert find_tint(detail) is None
    assert find_tint(GREY[:0]) is None
