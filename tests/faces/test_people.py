"""People followed through cuts and crossings: coloured blocks, whose colour is their identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.errors import InputError
from latentface.faces import alignment
from latentface.faces import people as people_module
from latentface.faces.appearance import looks_of
from latentface.faces.census import take_census
from latentface.faces.choice import Place
from latentface.faces.people import People
from latentface.faces.person_tracker import PersonTracker
from latentface.io.clip import Clip, Frame
from tests.helpers.blocks import BROWN, PALE, RED, SIZE, Places, are_faces, boxes, colour_at, embed, frame
from tests.helpers.faces import face_points


@pytest.fixture(autouse=True)
def blocks_are_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    are_faces(monkeypatch)


def test_numbers_stay_with_people_after_a_cut() -> None:
    people = People(Places(), embed)
    first = frame({RED: (10, 30), BROWN: (230, 30)})
    for _ in range(4):
        before = {number: colour_at(first, points) for number, points in people(first).items()}
    second = frame({BROWN: (20, 40), RED: (200, 20), PALE: (110, 20)}, ground=120)
    after = {number: colour_at(second, points) for number, points in people(second).items()}
    assert people.cuts == [4]
    assert len(before) == 2 and {number: after[number] for number in before} == before
    assert sorted(after) == [1, 2, 3] and after[3] == PALE


def test_numbers_stay_with_people_who_cross() -> None:
    people = People(Places(), embed)
    start = None
    for step in range(0, 221, 10):
        picture = frame({RED: (10 + step, 34), BROWN: (230 - step, 26)})
        here = {number: colour_at(picture, points) for number, points in people(picture).items()}
        start = start or here
    assert start is not None and here == start and len(people.known) == 2


def test_who_walks_past_is_no_cut() -> None:
    people, wall = People(Places(), embed), np.zeros((*SIZE, 3), np.uint8)
    for step in range(0, 200, 20):
        picture = wall.copy()
        picture[:, step : step + 120] = 50 + step  # a third of the picture changes
        people(picture)
    assert people.cuts == []
    people(np.full_like(wall, 60))
    assert people.cuts == [10] and people.is_cut


def test_who_is_found_late_is_followed_back() -> None:
    there = frame({RED: (10, 30), BROWN: (230, 30)})
    hidden = there.copy()
    hidden[30:90, 230:290] = 90  # resembles no face, and nothing is lost, so that it is not searched for at once
    pictures = [hidden, there, there, there, there, there, there, there]
    online = People(Places(), embed)
    late = [len(online(picture)) for picture in pictures]
    found = list(People(Places(), embed).through(enumerate(pictures)))
    assert [k for k, _ in found] == list(range(8))
    assert late[:6] == [1] * 6 and late[-1] == 2 and [len(here) for _, here in found] == [1] + [2] * 7
    assert {colour_at(there, here[2]) for _, here in found[1:]} == {BROWN}


def test_who_walks_in_quickly_is_followed_back() -> None:
    still = {BROWN: (10, 30)}
    pictures = [frame(still)] * 2 + [frame({**still, RED: (x, 30)}) for x in range(80, 240, 30)]
    pictures += [frame({**still, RED: (230, 30)})] * 4
    found = [here for _, here in People(Places(), embed).through(enumerate(pictures))]
    assert [len(here) for here in found] == [1] * 2 + [2] * 10
    assert all(colour_at(picture, here[2]) == RED for picture, here in zip(pictures[2:], found[2:], strict=True))


def test_who_is_seen_for_a_moment_is_nobody_new_if_later_frames_are_known() -> None:
    both = frame({RED: (10, 30), BROWN: (230, 30)})
    pictures = [both] * 8 + [frame({PALE: (110, 30)}, 120)] * 2 + [frame({BROWN: (230, 30)}, 120)] * 8
    online = People(Places(), embed)
    assert [list(online(picture)) for picture in pictures][8:] == [[3]] * 2 + [[2]] * 8
    told = [list(here) for _, here in People(Places(), embed).through((None, picture) for picture in pictures)]
    assert told[:8] == [[1, 2]] * 8 and told[8:] == [[]] * 2 + [[2]] * 8


def test_frames_before_damage_are_told() -> None:
    def damaged() -> Iterator[tuple[int, Pixels]]:
        yield from enumerate([frame({RED: (10, 30)})] * 3)
        raise InputError("the clip is damaged")

    told = People(Places(), embed).through(damaged())
    assert [list(next(told)[1]) for _ in range(3)] == [[1]] * 3
    with pytest.raises(InputError, match="damaged"):
        next(told)


def test_so_many_frames_are_read_ahead_as_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = frame({RED: (10, 30)})
    read = 0

    def frames() -> Iterator[tuple[None, Pixels]]:
        nonlocal read
        for _ in range(9):
            read += 1
            yield None, picture

    next(People(Places(), embed).through(frames(), reach=4))
    assert read == 5
    monkeypatch.setattr(people_module, "MEMORY", 2 * picture.nbytes)
    next(People(Places(), embed).through(frames(), reach=4))
    assert read == 8


def test_a_person_is_followed_in_a_clip_that_is_read_ahead() -> None:
    pictures = [frame({})] + [frame({RED: (10, 30), BROWN: (230, 30)})] * 3
    for live in (False, True):
        frames = [Frame(each, Fraction(k)) for k, each in enumerate(pictures)]
        clip = Clip(iter(frames) if live else frames, Fraction(1), SIZE[::-1])
        assert clip.live == live
        tracker = PersonTracker(People(Places(), embed), Place("right"))
        found = [(frame.time, tracker(frame.pixels)) for frame in tracker.ahead(clip)]
        assert [time for time, _ in found] == [0, 1, 2, 3] and found[0][1] is None
        assert {colour_at(pictures[1], points) for _, points in found[1:] if points is not None} == {BROWN}
        assert tracker.track == 1 and len(tracker.others) == 1


def test_a_person_is_chosen_by_a_rule_and_followed_from_the_beginning() -> None:
    picture = frame({RED: (10, 30), BROWN: (230, 30)})
    chosen = PersonTracker(People(Places(), embed), Place("right"))
    assert chosen(frame({})) is None and chosen.number is None
    points = chosen.begin(picture)
    assert points is not None and colour_at(picture, points) == BROWN
    tracker = chosen.again()
    points = tracker(picture)
    assert points is not None and colour_at(picture, points) == BROWN
    assert [colour_at(picture, other) for other in tracker.others] == [RED] and tracker.track == 1
    assert tracker(frame({RED: (10, 30)})) is None and tracker.box is None
    assert [tracker(picture) is not None for _ in range(3)][-1] and tracker.track == 2
    assert tracker(frame({RED: (200, 20), BROWN: (20, 40)}, ground=120)) is not None
    assert tracker.people.is_cut and tracker.track == 3 and tracker.box is not None  # another shot


def test_a_person_is_found_in_any_frame() -> None:
    chosen = PersonTracker(People(Places(), embed), Place("right"))
    chosen.begin(frame({RED: (10, 30), BROWN: (230, 30)}))
    elsewhere = frame({BROWN: (20, 10), RED: (150, 40)}, ground=90)
    points = chosen.find(elsewhere)
    assert points is not None and colour_at(elsewhere, points) == BROWN
    assert chosen.find(frame({RED: (150, 40)})) is None and chosen.find(frame({})) is None


def test_one_face_alone_is_found_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = PersonTracker(People(Places(), embed), lone=True)
    first = frame({RED: (10, 30)})
    chosen.begin(first)
    assert chosen.find(first) is not None
    monkeypatch.setattr(alignment, "detect_faces", lambda picture: pytest.fail("searched"))
    points = chosen.find(frame({RED: (20, 30)}))
    assert points is not None and colour_at(frame({RED: (20, 30)}), points) == RED
    monkeypatch.undo()
    are_faces(monkeypatch)
    assert chosen.find(frame({})) is None
    points = chosen.find(frame({RED: (200, 30)}))
    assert points is not None and colour_at(frame({RED: (200, 30)}), points) == RED


def test_one_face_alone_is_followed_without_a_search_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = PersonTracker(People(Places(), embed), lone=True)
    assert tracker(frame({RED: (10, 30)})) is not None and tracker.track == 1
    monkeypatch.setattr(alignment, "detect_weak", None)
    for step in range(0, 120, 10):
        picture = frame({RED: (10 + step, 30)})
        points = tracker(picture)
        assert points is not None and colour_at(picture, points) == RED
    several = PersonTracker(People(Places(), embed), lone=True)
    both = frame({RED: (10, 30), BROWN: (230, 30)})
    assert several.begin(both) is not None and len(several.people.known) == 2


def test_a_look_is_the_mean_of_a_picture_and_its_mirror_image() -> None:
    picture = frame({RED: (20, 10), BROWN: (220, 10)})
    faces = Places()(picture, boxes(picture))
    halves = looks_of(picture, faces, lambda crops: np.stack(np.split(crops, 2, axis=2)).mean((2, 3, 4)).T ** 2)
    np.testing.assert_allclose(halves, np.full((2, 2), np.sqrt(0.5)))  # both sides weigh alike


def test_a_census_tells_when_each_is_seen() -> None:
    both, one = frame({RED: (10, 30), BROWN: (230, 30)}), frame({RED: (10, 30)})
    pictures = [both] * 10 + [one] * 20 + [both] * 10
    found = take_census(((k / 10, each) for k, each in enumerate(pictures)), People(Places(), embed))
    assert [each.number for each in found] == [1, 2]
    assert found[0].spans == [(0.0, 3.9)] and found[0].frames == 40
    assert found[1].spans[0] == (0.0, 0.9) and found[1].spans[1][1] == 3.9 and len(found[1].spans) == 2
    assert found[0].picture.shape == (256, 256, 3)


def test_somebody_who_turns_out_to_be_another_is_listed_once() -> None:
    class Mistaken:
        """Sees number 2, who is number 1."""

        def __init__(self) -> None:
            self.merged = {2: 1}
            self.numbers = iter([1, 1, 2, 2, 1])

        def through(self, frames: Iterable[tuple[object, Pixels]]) -> Iterator[tuple[object, dict[int, np.ndarray]]]:
            return ((frame, {next(self.numbers): face_points((100.0, 60.0), 30.0)}) for frame, _ in frames)

    frames = [(float(time), frame({})) for time in (0, 0.1, 2, 2.1, 2.2)]
    (found,) = take_census(frames, Mistaken())
    assert found.number == 1 and found.frames == 5
    assert found.spans == [(0.0, 0.1), (2.0, 2.2)]
