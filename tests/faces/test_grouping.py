"""Stretches are put together by what they look like, unless they were in one picture."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.faces.alignment import overlap
from latentface.faces.grouping import RECENT, Group, grouped
from latentface.faces.stretch import LIKELY, SETTLED, SURE, Person, Stretch
from tests.helpers.faces import face_points

FRONT = face_points((5.0, 5.0), 4.0)
HERE, THERE = np.array([0.0, 0, 10, 10]), np.array([50.0, 0, 60, 10])


def look(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def stretch(degrees: float, began: int = 0, box: np.ndarray = HERE, shot: int = 0) -> Stretch:
    made = Stretch(shot, began, box, ended=began + 5, last=box)
    made.see(look(degrees), FRONT)
    return made


def numbers(stretches: list[Stretch], people: list[Person]) -> list[int | None]:
    """The person of each stretch; new ones count down from -1."""
    groups = grouped(stretches, people)
    told = {
        each: group.person.number if group.person else -k for k, group in enumerate(groups) for each in group.stretches
    }
    return [told[each] for each in stretches]


def seen(pictures: int, score: float, lost: bool = False) -> Stretch:
    made = Stretch(0, 0, HERE, score, lost=lost)
    for _ in range(pictures):
        made.see(look(0), FRONT)
    return made


def is_face(*stretches: Stretch) -> bool:
    return Group(look(0), list(stretches)).is_face


def test_somebody_is_new_whose_face_is_sure_or_was_followed_for_a_while() -> None:
    assert is_face(seen(1, SURE)) and not is_face(seen(1, LIKELY))
    assert is_face(seen(SETTLED, LIKELY)) and not is_face(seen(SETTLED, LIKELY - 0.1))
    assert is_face(seen(SETTLED, SURE, lost=True)) and not is_face(seen(SETTLED - 1, SURE, lost=True))


def test_what_counts_is_all_that_is_seen_of_them() -> None:
    assert is_face(seen(SETTLED // 2, LIKELY, lost=True), seen(SETTLED - SETTLED // 2, LIKELY, lost=True))
    assert is_face(seen(1, LIKELY, lost=True), seen(1, SURE))


def test_a_profile_is_nobody_new() -> None:
    turned = FRONT.copy()
    turned[27:31] = FRONT[:3].mean(axis=0)
    profile = Stretch(0, 0, HERE, SURE)
    profile.see(look(0), turned)
    assert not is_face(profile) and is_face(profile, seen(1, SURE))


def test_stretches_belong_to_those_who_look_like_them() -> None:
    people = [Person(1, look(0)), Person(2, look(90))]
    assert numbers([stretch(80), stretch(10), stretch(30)], people) == [2, 1, 1]
    assert grouped([], []) == []


def test_strangers_are_alike_among_themselves() -> None:
    first, second, known = numbers([stretch(170), stretch(180), stretch(0)], [Person(1, look(0))])
    assert first == second and first is not None and first < 0 and known == 1


def test_nobody_is_in_two_places() -> None:
    one, other = stretch(0), stretch(20)
    one.meet({other})
    assert numbers([one, other], [Person(1, look(10)), Person(2, look(60))]) == [1, 2]
    one, other = stretch(0), stretch(20)
    one.person = Person(1, look(0))
    one.meet({other})
    one.fix()
    assert numbers([other], [one.person])[0] != 1


def test_whoever_was_lost_where_a_stretch_begins_is_ahead() -> None:
    person = Person(1, look(0), last=stretch(0))
    unlike = 80.0  # a cosine of .17
    assert numbers([stretch(unlike, 10)], [person]) == [1]
    assert numbers([stretch(unlike, 10, THERE)], [person]) != [1]
    assert numbers([stretch(unlike, 10, shot=1)], [person]) != [1]
    assert numbers([stretch(unlike, 6 + RECENT)], [person]) != [1]
    first, then = numbers([stretch(unlike), stretch(0, 10)], [])
    assert first == then


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(HERE, HERE) == 1 and overlap(HERE, THERE) == 0
    assert overlap(HERE, HERE + np.array([5, 0, 5, 0])) == pytest.approx(1 / 3)
