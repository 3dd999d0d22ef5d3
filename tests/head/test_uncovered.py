"""What stands behind people is continued: stripes go on, and far behind them colours are smooth."""

from __future__ import annotations

import numpy as np

from latentface.head.uncovered import continue_background, find_plain, find_shifts

SIDE = 96


def stripes() -> np.ndarray:
    """Diagonal stripes 12 pixels wide, uint8 [96, 96, 3]."""
    rows, columns = np.indices((SIDE, SIDE))
    return np.where(((rows + columns) // 12 % 2)[..., None] > 0, (210, 190, 180), (40, 60, 90)).astype(np.uint8)


def hidden(scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A scene behind somebody green, and how much of each pixel is background, in 255ths."""
    opacity = np.full((SIDE, SIDE), 255, np.uint8)
    opacity[20:, 60:] = 0
    picture = scene.copy()
    picture[opacity == 0] = (0, 255, 0)
    return picture, opacity


def everywhere(step: int) -> np.ndarray:
    return np.ones((SIDE // step, SIDE // step), bool)


def test_stripes_go_on_as_far_as_heads_move() -> None:
    picture, opacity = hidden(stripes())
    made, misfit = continue_background(picture, opacity, 2, 16.0, everywhere(2))
    assert misfit.shape == (48, 48) and misfit[20:, :30].mean() < 25  # the rim's own; more where nothing is found
    assert np.array_equal(made[opacity == 255], picture[opacity == 255])
    near = np.s_[36:, 60:68]
    assert np.abs(made[near].astype(int) - stripes()[near]).mean() < 12
    far = made[60:, 84:].astype(int)
    assert np.abs(np.diff(far, axis=1)).max() < 12  # smooth


def test_where_nothing_moves_colours_are_smooth() -> None:
    picture, opacity = hidden(stripes())
    continued, misfit = continue_background(picture, opacity, 2, 16.0, ~everywhere(2))
    made = continued.astype(int)
    assert misfit.min() > 40  # nothing is found
    assert np.array_equal(made[opacity == 255], picture[opacity == 255])
    assert np.abs(np.diff(made[40:, 63:], axis=1)).max() < 40


def test_two_colours_are_continued_beside_each_other() -> None:
    scene = np.zeros((60, 80, 3), np.uint8)
    scene[:, :40], scene[:, 40:] = (200, 60, 60), (60, 60, 200)
    opacity = np.full((60, 80), 255, np.uint8)
    opacity[20:40, 10:30] = opacity[20:40, 50:70] = 0
    picture = scene.copy()
    picture[opacity == 0] = (0, 255, 0)
    made, _ = continue_background(picture, opacity, 2, 8.0, np.ones((30, 40), bool))
    assert np.array_equal(made[opacity == 255], scene[opacity == 255])
    assert np.abs(made.astype(int) - scene)[opacity == 0].max() < 30


def test_without_patches_that_are_seen_there_are_no_shifts() -> None:
    hole = np.ones((32, 32), bool)
    hole[:3] = False
    shifts, _ = find_shifts(np.zeros((32, 32, 3), np.float32), np.zeros((32, 32, 4), np.float32), hole, hole)
    assert not shifts.any()


def test_a_partly_covered_pixel_keeps_what_is_seen_of_it() -> None:
    scene = np.full((40, 40, 3), 100, np.uint8)
    opacity = np.full((40, 40), 255, np.uint8)
    opacity[:, 20:] = 128
    picture = scene.copy()
    picture[:, 20:] = 200
    made, _ = continue_background(picture, opacity, 1, 8.0, np.ones((40, 40), bool))
    assert np.abs(made[:, 20:].astype(int) - 150).max() <= 1


def test_plain_backgrounds_are_continued_smoothly() -> None:
    colours, hole = np.full((60, 60, 3), 100, np.float32), np.zeros((60, 60), bool)
    hole[15:45, 20:40] = True
    colours[:, 30:] += np.random.default_rng(0).normal(0, 15, (60, 30, 3)).astype(np.float32)
    colours[hole] = 240
    plain = find_plain(colours, hole)
    assert plain[20:40, :22].min() > 0.9 and plain[20:40, 38:].max() < 0.1


def test_a_plain_background_has_no_step_where_it_is_continued() -> None:
    across = np.linspace(60, 180, SIDE)[None, :, None]
    picture, opacity = hidden(np.broadcast_to(across, (SIDE, SIDE, 3)).astype(np.uint8))
    made, _ = continue_background(picture, opacity, 2, 16.0, everywhere(2))
    assert np.abs(made[30:, 56:68].astype(int) - across[:, 56:68]).max() < 12
    assert np.abs(np.diff(made[30:, 50:70].astype(int), axis=1)).max() < 6
