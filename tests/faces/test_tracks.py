"""Faces followed by their place: coloured blocks, which end, meet, hide and are found anew."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.faces import alignment
from latentface.faces.stretch import Person
from latentface.faces.tracks import AGAIN, EVERY, Tracks
from tests.helpers.blocks import AWAY, BROWN, RED, Places, are_faces, boxes, colour_at, embed, frame

BOTH = {RED: (10, 30), BROWN: (230, 30)}


@pytest.fixture(autouse=True)
def blocks_are_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    are_faces(monkeypatch)


def seen(tracks: Tracks, picture: Pixels) -> set[tuple[int, ...]]:
    tracks(picture)
    return {colour_at(picture, track.points) for track in tracks.here}


def followed(tracks: Tracks, picture: Pixels, monkeypatch: pytest.MonkeyPatch, by_look: bool = True) -> int:
    """For how many frames of twelve a face is followed that was detected and then turns away."""
    tracks.by_look = by_look
    for _ in range(4):
        tracks(frame({RED: (10, 30)}))
    monkeypatch.setattr("latentface.faces.presence.shows_face", lambda square: False)
    return sum(bool(seen(tracks, picture)) for _ in range(12))


def test_all_are_found_and_followed() -> None:
    tracks = Tracks(Places(), embed)
    for step in range(0, 60, 10):
        assert seen(tracks, frame({RED: (10 + step, 30), BROWN: (230 - step, 30)})) == {RED, BROWN}
    assert [track.stretch.ended for track in tracks.here] == [5, 5]
    assert all(track.stretch.beside for track in tracks.here) and (tracks.frame, tracks.shot) == (5, 0)


def test_who_moves_too_quickly_to_be_followed_goes_on_where_they_are_found() -> None:
    tracks = Tracks(Places(), embed)
    tracks(frame({RED: (10, 30)}))
    stretch = tracks.here[0].stretch
    for x in (64, 118, 172, 226):
        assert seen(tracks, frame({RED: (x, 30)})) == {RED} and tracks.here[0].stretch is stretch
    assert not stretch.lost
    tracks(frame({BROWN: (200, 30)}))  # somebody else, as near
    assert stretch.lost and tracks.here[0].stretch is not stretch


def test_nobody_is_followed_over_a_cut() -> None:
    tracks = Tracks(Places(), embed)
    tracks(frame(BOTH))
    before = {track.stretch for track in tracks.here}
    assert seen(tracks, frame({RED: (10, 30)}, ground=120)) == {RED}
    assert tracks.is_cut and tracks.shot == 1 and before.isdisjoint(track.stretch for track in tracks.here)


def test_new_faces_are_searched_now_and_then_and_more_often_while_somebody_is_missed() -> None:
    for missed, wait in ((False, EVERY), (True, AGAIN)):
        tracks = Tracks(Places(), embed)
        tracks(frame({RED: (10, 30)}))
        found = [len(seen(tracks, frame(BOTH))) if not missed else _missed(tracks) for _ in range(EVERY)]
        assert found == [1] * (wait - 1) + [2] * (EVERY - wait + 1)


def _missed(tracks: Tracks) -> int:
    tracks(frame(BOTH), missed=True)
    return len(tracks.here)


def test_a_face_that_is_not_detected_is_followed_while_it_looks_like_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = Tracks(Places(), embed)
    assert followed(tracks, frame({AWAY: (10, 30)}), monkeypatch) == 12
    assert not seen(tracks, frame({(90, 90, 90): (10, 30)}))  # something is in front of it


def test_where_people_are_named_at_once_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert followed(Tracks(Places(), embed), frame({AWAY: (10, 30)}), monkeypatch, by_look=False) < 12


def test_what_was_detected_weakly_is_not_unless_it_looks_like_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = lambda picture, least: (boxes(picture), np.full(len(boxes(picture)), -0.4))  # noqa: E731
    monkeypatch.setattr(alignment, "detect_weak", weak)
    picture = frame({AWAY: (10, 30)})
    with monkeypatch.context() as patch:
        assert followed(Tracks(Places(), embed), picture, patch) < 12
    tracks = Tracks(Places(), embed)
    tracks.known = [Person(1, embed(np.full((1, 128, 128, 3), RED, np.uint8))[0])]
    assert followed(tracks, picture, monkeypatch) == 12


def test_a_stretch_ends_where_two_part() -> None:
    tracks = Tracks(Places(), embed)
    for x in range(30, 131, 10):
        tracks(frame({BROWN: (170, 30), RED: (x, 20)}))
    first = {track.stretch for track in tracks.here}
    assert all(track.meets for track in tracks.here)
    for x in range(130, 29, -10):
        assert seen(tracks, frame({BROWN: (170, 30), RED: (x, 20)})) == {RED, BROWN}
    assert all(stretch.lost for stretch in first) and first.isdisjoint(track.stretch for track in tracks.here)
    assert {track.stretch.score for track in tracks.here} == {1.0}


def test_of_two_on_one_face_the_one_that_looked_like_it_stays() -> None:
    tracks = Tracks(Places(), embed)
    tracks(frame(BOTH))
    red, brown = tracks.here
    tracks.begin(brown.points, 1.0).stretch.see(red.stretch.total, red.points)
    tracks(frame(BOTH))
    assert tracks.here == [red, brown]
