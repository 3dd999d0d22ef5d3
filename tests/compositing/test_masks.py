"""Soft masks of an edit: where it changed something, and what the colours at its seam say of its inside."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.compositing.masks import changed, seam_difference


def disc(side: int, radius: float, soft: float = 0.0) -> np.ndarray:
    """[side, side]: 1 inside a disc in the middle, 0 outside, with a linear edge `soft` pixels wide."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    away = np.hypot(x, y) - radius
    return (0.5 - away / soft).clip(0, 1).astype(np.float32) if soft else (away < 0).astype(np.float32)


def test_where_nothing_changed_nothing_is_taken() -> None:
    assert not changed(np.zeros((60, 80, 3), np.float32), 30.0).any()
    noise = np.random.default_rng(0).normal(0, 2, (60, 80, 3)).astype(np.float32)  # under 2 % of the range
    assert changed(noise, 30.0).max() < 1e-3


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_change_is_taken_whole_and_with_room_around_it(sign: float) -> None:
    unit, side, radius = 40.0, 160, 10
    inside = disc(side, radius)
    taken = changed(sign * 80 * inside[..., None] * np.ones(3, np.float32), unit)
    assert taken.shape == (side, side) and taken.min() >= 0 and taken.max() <= 1
    assert taken[inside > 0].min() > 0.99
    assert taken[disc(side, radius + 0.1 * unit) > 0].min() > 0.5, "wider than the change: no ghosts at its edge"
    assert taken[disc(side, radius + 0.4 * unit) == 0].max() < 0.01, "and no wider than is needed"


def test_the_room_grows_with_the_face() -> None:
    change = 80 * disc(200, 8)[..., None] * np.ones(3, np.float32)
    small, large = (float((changed(change, unit) > 0.5).sum()) for unit in (20.0, 60.0))
    assert large > 1.5 * small


def test_a_small_copy_says_the_same_of_a_large_picture() -> None:
    """Beyond 256 pixels a side masks are computed on a copy; a picture twice as large has the same mask."""
    small, large = (
        changed(80 * disc(side, side / 16)[..., None] * np.ones(3, np.float32), side / 6) for side in (240, 480)
    )
    assert np.abs(large.reshape(240, 2, 240, 2).mean((1, 3)) - small).max() < 0.1


def test_a_constant_difference_is_found_whatever_the_mask() -> None:
    tint = np.array([12.0, -7.0, 3.0], np.float32)
    mask = disc(96, 30, soft=12)
    field = seam_difference(np.broadcast_to(tint, (96, 96, 3)), mask, 30.0)
    assert field.shape == (96, 96, 3)
    assert np.abs(field[mask > 0.01] - tint).max() < 0.05


def test_only_the_seam_counts() -> None:
    """A difference deep inside the mask or far outside it is the edit or the background, and no colour cast."""
    mask = disc(96, 30, soft=8)
    seam = (mask > 0) & (mask < 1)
    rng = np.random.default_rng(0)
    difference = np.where(seam[..., None], 10.0, rng.normal(0, 80, (96, 96, 3))).astype(np.float32)
    field = seam_difference(difference, mask, 30.0)
    assert np.abs(field[mask > 0] - 10).max() < 0.5


def test_each_side_of_the_seam_colours_its_own_side() -> None:
    mask = disc(128, 40, soft=10)
    difference = np.zeros((128, 128, 3), np.float32)
    difference[:, :64], difference[:, 64:] = -20, 20
    field = seam_difference(difference, mask, 25.0)
    row = field[64, 28:100, 0]
    assert row[0] < -12 and row[-1] > 12
    assert (np.diff(row) > -0.2).all(), "smooth, from one side to the other"


def test_without_a_seam_there_is_no_difference() -> None:
    difference = np.full((32, 32, 3), 50, np.float32)
    for mask in (np.zeros((32, 32), np.float32), np.ones((32, 32), np.float32)):
        assert not seam_difference(difference, mask, 10.0).any()
