"""Holes drawn from patches around them."""

import numpy as np

from latentface.completion.surroundings import BESIDE, WITHIN, follow_surroundings

SIDE = 64
ANGLES = np.linspace(0, 2 * np.pi, 68, endpoint=False)
AROUND = 32 + 60 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # landmarks of a face that fills the picture
AWAY = AROUND - 1000


def striped() -> np.ndarray:
    """A picture [64, 64, 3] of upright stripes, four pixels wide."""
    columns = np.where(np.arange(SIDE) // 4 % 2, 200.0, 50.0).astype(np.float32)
    return np.broadcast_to(columns[None, :, None], (SIDE, SIDE, 3)).copy()


def hole() -> np.ndarray:
    place = np.zeros((SIDE, SIDE), bool)
    place[26:36, 20:44] = True
    return place


def test_what_was_painted_comes_nearer_to_the_pattern_around_it() -> None:
    truth, place = striped(), hole()
    painted = truth.copy()
    painted[place] = (0.6 * truth + 0.4 * truth.mean())[place]  # the right stripes, faint
    made = follow_surroundings(painted, place, AWAY)
    assert np.array_equal(made[~place], painted[~place])
    before, after = (float(np.abs(each - truth)[place].mean()) for each in (painted, made))
    assert after < (1 - BESIDE + 0.2) * before


def test_the_face_keeps_more_of_what_was_painted() -> None:
    truth, place = striped(), hole()
    painted = truth.copy()
    painted[place] = 125
    within, beside = (follow_surroundings(painted, place, points) - painted for points in (AROUND, AWAY))
    assert np.allclose(within[place] * BESIDE, beside[place] * WITHIN, atol=0.5)
    assert np.abs(beside[place]).mean() > 1


def test_a_hole_without_surroundings_stays_as_it_was_painted() -> None:
    painted, place = striped(), np.ones((SIDE, SIDE), bool)
    place[0, 0] = False
    assert np.array_equal(follow_surroundings(painted, place, AWAY), painted)
