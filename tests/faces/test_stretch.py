"""What is known of a face while it is followed, and of the person whose it is."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.faces.stretch import PICTURES, SURE, Person, Stretch
from tests.helpers.faces import face_points

FRONT = face_points((50.0, 50.0), 20.0)
EAST, NORTH = np.eye(2)


def seen(pictures: int, score: float, look: np.ndarray = EAST) -> Stretch:
    stretch = Stretch(0, 0, np.zeros(4), score)
    for _ in range(pictures):
        stretch.see(look, FRONT)
    return stretch


def test_a_look_is_the_mean_of_pictures() -> None:
    person = Person(1, EAST, pictures=3)
    person.learn(NORTH)
    np.testing.assert_allclose(person.look, np.array([3, 1]) / np.sqrt(10))
    for _ in range(200):
        person.learn(NORTH)
    assert person.pictures == PICTURES and person.look @ NORTH > 0.999


def test_a_person_learns_what_is_sure_and_resembles_them() -> None:
    stretch = seen(2, SURE)
    assert stretch.likeness(EAST) == pytest.approx(1) and Stretch(0, 0, np.zeros(4)).likeness(EAST) == -1
    stretch.person = person = Person(1, NORTH, pictures=0)
    stretch.fix()
    np.testing.assert_allclose(person.look, EAST)
    stretch.see(-EAST, FRONT)
    assert person.pictures == 2
    stretch.see(np.array([0.6, 0.8]), FRONT)
    assert person.pictures == 3 and 0 < person.look @ NORTH < 0.5


def test_who_is_beside_whom_is_forgotten_once_it_is_sure_whose_they_are() -> None:
    one, other = seen(1, SURE), seen(1, SURE)
    one.meet({other})
    assert one.beside == {other} and other.beside == {one}
    one.fix()
    one.meet({other})
    assert one.beside == set() and other.beside == {one}
