"""Squares of whole pixels around faces, and faces looked for in small copies first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.faces import alignment
from latentface.faces.presence import Presence, best_face, shows_face
from latentface.faces.square import Square, shrink
from tests.helpers.cli_desk import face_points, place_points
from tests.helpers.motion_models import best_skin, wandering
from tests.helpers.skin_faces import find_skin


def test_a_square_cuts_whole_pixels_and_goes_on_beyond_the_picture() -> None:
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert np.array_equal(Square(2, 1, 4).cut(picture), picture[1:5, 2:6])
    beyond = Square(-2, 3, 6).cut(picture)
    assert np.array_equal(beyond[:3, 2:], picture[3:, :4])
    assert np.array_equal(beyond[5], beyond[2])  # the last row goes on


def test_a_face_s_square_is_upright_and_around_it() -> None:
    points = face_points() * 100 + (300, 200)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    for landmarks in (points, (points - 350) @ turn.T + 350):
        square = Square.around(landmarks)
        inside = (landmarks - (square.left, square.top)) / square.side
        assert inside.min() > 0 and inside.max() < 1


def test_a_face_s_square_has_room_above_the_hair() -> None:
    """Hair cut off by the square stays above a head that moves down."""
    points = face_points() * 100
    square, eyes, chin = Square.around(points), points[36:48, 1].mean(), points[8, 1]
    hair = eyes - 1.2 * (chin - eyes)  # the eyes are half-way up a bare head
    assert hair - square.top > 0.12 * square.side


def test_no_face_shows_in_a_plain_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "best_score", best_skin)
    assert shows_face(wandering(0))
    assert not shows_face(wandering(0, face=False))


def test_in_a_film_a_face_is_detected_every_third_time_unless_it_moves_or_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(alignment, "best_score", lambda *given: looks.append(1) or best_skin(*given))
    presence = Presence()
    assert [presence(wandering(0)) for _ in range(7)] == [True] * 7
    assert len(looks) == 3 and presence.change == presence.unseen == 0
    assert presence(wandering(0), still=False) and len(looks) == 4
    assert not presence(wandering(0, face=False))
    assert presence.change > 12 and presence.unseen == 1


def test_a_face_is_searched_in_the_middle_of_its_square_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def score(best: float) -> Callable[[Pixels, float], float]:
        return lambda picture, least: (seen.append(picture.shape), best)[1]

    monkeypatch.setattr(alignment, "best_score", score(0.1))
    assert shows_face(wandering(0)) and seen == [(79, 78, 3)]
    seen.clear()
    monkeypatch.setattr(alignment, "best_score", score(-0.9))
    assert not shows_face(wandering(0)) and seen == [(79, 78, 3), (118, 118, 3)]


def test_a_square_grows_with_its_scale_around_the_same_middle() -> None:
    points = face_points() * 100 + 300
    one, two = Square.around(points), Square.around(points, 2.7)
    assert two.side == pytest.approx(2 * one.side, abs=1)
    assert two.left + two.side / 2 == pytest.approx(one.left + one.side / 2, abs=1)
    assert two.top + two.side / 2 == pytest.approx(one.top + one.side / 2, abs=1)


def test_the_smallest_square_has_eight_pixels() -> None:
    assert Square.around(face_points() * 0.5).side == 8


def test_alpha_is_cut_along() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    assert np.array_equal(Square(3, 4, 5).cut(picture), picture[4:9, 3:8])


def test_shrinking_averages() -> None:
    checks = np.repeat((np.indices((64, 64)).sum(0) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    assert shrink(checks, 16).shape == (16, 16, 3)
    assert np.abs(shrink(checks, 16).astype(int) - 127).max() <= 3


def test_a_face_is_looked_for_in_copies_of_growing_size(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, seen = np.repeat(np.repeat(wandering(0), 4, 0), 4, 1), []

    def late(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(photo.shape[1])
        return find_skin(photo) if photo.shape[1] > 300 else (np.empty((0, 4)), np.empty(0))

    monkeypatch.setattr(alignment, "detect_faces", late)
    points = best_face(picture, place_points, (90, 360, 10**6))
    assert seen == [90, 360]
    expected = place_points(picture, 4 * np.array([[40.0, 25, 130, 115]]))[0]
    assert points is not None and np.abs(points - expected).max() < 8  # two pixels of the copy
    assert best_face(np.zeros((40, 60, 3), np.uint8), place_points, (90, 360)) is None
    assert seen[2:] == [60]  # a copy is never larger than the picture, nor looked at twice


@pytest.mark.parametrize(("left", "top"), [(0, 0), (-3, 5), (5, -3), (-20, 30), (30, -20), (3, 2)])
@pytest.mark.parametrize("side", [1, 4, 30])
def test_a_square_repeats_the_border_of_its_picture(left: int, top: int, side: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    rows, columns = np.clip(np.arange(top, top + side), 0, 8), np.clip(np.arange(left, left + side), 0, 11)
    cut = Square(left, top, side).cut(picture)
    assert np.array_equal(cut, picture[rows][:, columns]) and cut.flags.c_contiguous
