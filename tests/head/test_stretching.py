"""A background is stretched over what a disc uncovers that moves in front of it."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.head.geometry import Box
from latentface.head.motion import Gain, Motion
from latentface.head.stretching import SPAN, Stretch

SIDE, MIDDLE, RADIUS, BY = 140, 70, 30, 10
BOX = Box(0, 0, SIDE, SIDE)
ROWS, COLUMNS = np.indices((SIDE, SIDE))
AWAY = np.hypot(ROWS - MIDDLE, COLUMNS - MIDDLE)
OPACITY = np.where(AWAY > RADIUS, 255, 0).astype(np.uint8)


def stretch(scale: int = 1, amount: float = 1.0) -> Stretch | None:
    opacity = OPACITY.repeat(scale, 0).repeat(scale, 1)
    return Stretch.of(opacity, Box(0, 0, SIDE * scale, SIDE * scale), np.full((20, 20), amount, np.float32), 7 * scale)


def to_the_right(by: float, scale: int = 1) -> Motion:
    """Everything moves to the right by some pixels."""
    shift = np.zeros((SIDE * scale, SIDE * scale, 2), np.float32)
    shift[..., 0] = -by
    return Motion(Box(0, 0, SIDE * scale, SIDE * scale), shift, Gain(np.ones((1, 1, 3), np.float32), 1))


@pytest.fixture(scope="module")
def sources() -> np.ndarray:
    """From where each pixel's background is taken, [SIDE, SIDE, 2], column and row."""
    made = stretch()
    assert made is not None
    pull = made.pull(to_the_right(BY))
    assert pull is not None
    return BOX.places() + pull.at(BOX.places())


def test_what_is_uncovered_shows_the_background_beside_it(sources: np.ndarray) -> None:
    uncovered = (AWAY < RADIUS - 1) & (np.hypot(ROWS - MIDDLE, COLUMNS - MIDDLE - BY) > RADIUS + 1)
    assert uncovered.sum() > 300
    at = np.hypot(sources[..., 1] - MIDDLE, sources[..., 0] - MIDDLE)[uncovered]
    assert (at > RADIUS - 1).mean() > 0.98 and at.max() < RADIUS + SPAN * BY


def test_nothing_is_repeated_and_lines_go_on(sources: np.ndarray) -> None:
    row = sources[MIDDLE, : MIDDLE - RADIUS + BY + 1]
    steps = np.diff(row[:, 0])
    assert steps.min() > 0.5 and steps.max() < 1.2  # stretched, in one direction
    assert np.abs(row[:, 1] - MIDDLE).max() < 0.5


def test_the_other_side_and_what_is_far_keep_still(sources: np.ndarray) -> None:
    moved = np.abs(sources - BOX.places()).max(axis=2)
    assert moved[:, MIDDLE + RADIUS - 3 :].max() < 0.5
    assert moved[AWAY > RADIUS + (SPAN + 0.5) * BY].max() < 0.5
    assert moved[MIDDLE, MIDDLE - RADIUS] > 0.4 * BY


def test_large_photos_are_stretched_on_a_coarser_grid(sources: np.ndarray) -> None:
    made = stretch(4)
    assert made is not None and made.step == 4
    pull = made.pull(to_the_right(4 * BY, 4))
    assert pull is not None
    fine = pull.at(4 * BOX.places() + np.float32(1.5))
    assert np.abs(fine / 4 - (sources - BOX.places())).max() < 1.0


@pytest.mark.parametrize("by", [0.0, 0.05])
def test_motions_that_uncover_nothing_leave_it(by: float) -> None:
    made = stretch()
    assert made is not None and made.pull(to_the_right(by)) is None


def test_it_begins_gently() -> None:
    made = stretch()
    assert made is not None
    most = []
    for by in (1.0, 1.5, 2.0, 3.0, 5.0):
        pull = made.pull(to_the_right(by))
        most.append(0.0 if pull is None else float(np.abs(pull.values).max()))
    assert np.all(np.diff(most) >= 0) and np.diff(most).max() < 2.5 and most[0] < 1.5 and 3 < most[-1] < 7


def test_where_patches_do_as_well_it_is_not_stretched() -> None:
    assert stretch(amount=0.0) is None


def test_without_people_or_without_background_there_is_nothing_to_stretch() -> None:
    everywhere = np.ones((20, 20), np.float32)
    for level in (0, 255):
        assert Stretch.of(np.full((SIDE, SIDE), level, np.uint8), BOX, everywhere, 7) is None
