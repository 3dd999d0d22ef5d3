"""One face followed: searched for once, a new track for a jump, another size or a gap, and all of it in a box."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.faces import alignment
from latentface.faces.alignment import BuiltinLandmarks
from latentface.faces.tracking import Tracker, is_steady
from tests.helpers.faces import face_points
from tests.helpers.motion_models import best_skin, wandering
from tests.helpers.skin_faces import Points, find_skin


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are skin-coloured blocks."""
    monkeypatch.setattr(alignment, "detect_faces", find_skin)
    monkeypatch.setattr(alignment, "best_score", best_skin)


def test_it_follows_without_searching_and_begins_anew_elsewhere(made_up: None, monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []
    monkeypatch.setattr(alignment, "detect_faces", lambda photo: searches.append(1) or find_skin(photo))
    tracker = Tracker(Points())
    for k in range(6):
        points = tracker(wandering(2 * k))
        assert points is not None
        assert points[:, 0].mean() == pytest.approx(40 + 2 * k + 45, abs=3)
    assert (len(searches), tracker.track) == (1, 1)
    assert tracker(wandering(6, face=False)) is None
    assert tracker.box is None
    assert tracker(wandering(6)) is not None
    assert tracker.track == 2


def test_in_a_film_a_face_that_hardly_moves_is_made_out_every_third_time(
    made_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(alignment, "best_score", lambda *given: looks.append(1) or best_skin(*given))
    tracker = Tracker(Points(), dense=True)
    for k in range(7):
        assert tracker(wandering(k)) is not None
    assert len(looks) == 2  # the 2nd and the 5th picture
    assert tracker(wandering(20)) is not None  # farther than a face that hardly moves
    assert len(looks) == 3 and tracker.track == 1
    assert tracker(wandering(20, face=False)) is None  # which looks otherwise


def test_in_a_film_a_face_is_expected_to_go_on_as_it_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentface.faces.presence.shows_face", lambda square: True)

    def landmarks(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """The face at the place that the first pixel says, if it is no farther than 12 pixels from the box."""
        place, middle = float(picture[0, 0, 0]), float(boxes[0, [0, 2]].mean())
        return face_points((place if abs(place - middle) < 12 else middle, 60.0), 20.0)[None]

    def at(place: int, ground: int) -> np.ndarray:
        picture = np.full((120, 160, 3), ground, np.uint8)
        picture[0, 0] = place
        return picture

    tracker = Tracker.of_film(landmarks, face_points((20.0, 60.0), 20.0))
    for place in (26, 37, 54, 78, 104, 132):  # from picture to picture farther than that
        points = tracker.follow(at(place, 100))
        assert points is not None and points[36:48, 0].mean() == pytest.approx(place, abs=2)
    assert not tracker.changed
    assert tracker.follow(at(132, 200)) is not None and tracker.changed


def test_in_a_film_a_face_that_the_detector_loses_for_a_moment_is_followed_on(
    made_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Tracker(Points(), dense=True)
    for k in range(3):
        assert tracker(wandering(k)) is not None
    monkeypatch.setattr(alignment, "best_score", lambda picture, least: -9.0)
    monkeypatch.setattr(alignment, "detect_faces", lambda photo: (np.empty((0, 4)), np.empty(0)))
    followed = [tracker(wandering(3 + k)) is not None for k in range(12)]
    assert followed[:4] == [True] * 4 and not any(followed[-3:])
    assert tracker.track == 1


def test_a_jump_is_another_face(made_up: None) -> None:
    tracker = Tracker(Points())
    tracker(wandering(0))
    tracker(wandering(48))
    assert tracker.track == 2


def test_a_face_of_another_size_is_another(made_up: None) -> None:
    tracker = Tracker(Points())
    tracker(wandering(0, side=50))
    tracker(wandering(0, side=110))
    assert tracker.track == 2


def test_box_and_number_are_all_it_remembers(made_up: None) -> None:
    first = Tracker(Points())
    first(wandering(0))
    second = Tracker(Points(), first.box, first.track)
    for k in range(1, 4):
        assert np.array_equal(first(wandering(k)), second(wandering(k)))
        assert (first.box, first.track) == (second.box, second.track)


def test_of_several_faces_the_surest_is_taken_and_kept(made_up: None, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.concatenate([wandering(0, side=60), wandering(0)], axis=1)
    large = np.array([[220.0, 25, 310, 115]])

    def both(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = photo.shape[1] / picture.shape[1]
        return np.concatenate([large, [[40.0, 25, 100, 85]]]) * scale, np.array([2.0, 1.0])

    class Inside(Points):
        def __call__(self, photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
            left, right = np.hsplit(photo, 2)
            side = int(boxes[0, [0, 2]].mean() >= 180)
            found = super().__call__((left, right)[side], boxes - [180 * side, 0, 180 * side, 0])
            return found + np.array([180 * side, 0])

    monkeypatch.setattr(alignment, "detect_faces", both)
    tracker = Tracker(Inside())
    first, second = tracker(picture), tracker(picture)
    assert first is not None and second is not None and tracker.track == 1
    assert first[:, 0].min() > 180 and np.array_equal(first, second)


def test_a_picture_without_a_face_begins_no_track(made_up: None) -> None:
    tracker = Tracker(Points())
    assert tracker(wandering(0, face=False)) is None
    assert (tracker.box, tracker.track) == (None, 0)


@pytest.mark.parametrize(("moved", "steady"), [(0.3, True), (3.0, False)])
def test_what_is_no_face_is_found_elsewhere_when_it_is_looked_for_again(moved: float, steady: bool) -> None:
    class Landmarks(BuiltinLandmarks):
        def look_again(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
            return landmarks + np.array([moved, 0.0])

    points, picture = face_points((60.0, 60.0), 30.0), np.zeros((120, 160, 3), np.uint8)
    assert is_steady(Landmarks(torch.nn.Linear(1, 1)), picture, points, 0.01) is steady
    assert is_steady(Points(), picture, points, 0.01)  # which has no second look
