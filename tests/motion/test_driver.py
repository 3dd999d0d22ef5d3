"""The reference frame of a driving clip: where it is looked for, and what is told when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from latentface.errors import NoFaceFound
from latentface.faces import alignment
from latentface.io.clip import Clip, Frame
from latentface.motion.driver import LOOKED_AT, Driver, find_reference
from latentface.options import AnimateOptions
from tests.helpers.cli_desk import find_blobs, place_points
from tests.helpers.motion_models import best_skin, motion_model, wandering

BLANK = np.zeros((140, 180, 3), np.uint8)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(alignment, "best_score", best_skin)


def tall(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Landmarks whose mouth is the lower, the brighter the frame's corner is."""
    points = place_points(photo, boxes)
    points[:, 48:, 1] += float(photo[0, 0, 0])
    return points


def marked(level: int, face: bool = True) -> np.ndarray:
    picture = wandering(0) if face else BLANK.copy()
    picture[:4, :4] = level
    return picture


def frames(levels: list[int | None]) -> Iterator[Frame]:
    for k, level in enumerate(levels):
        yield Frame(BLANK if level is None else marked(level), Fraction(k, 25))


LIKE = tall(marked(3), find_blobs(marked(3))[0])[0]


def test_the_first_frame_with_a_face() -> None:
    index, frame, points = find_reference(frames([None, None, 9, 3]), tall, LIKE, best=False)
    assert index == 2 and np.array_equal(frame.pixels, marked(9)) and points.shape == (68, 2)


@pytest.mark.parametrize(("step", "expected"), [(1, 3), (2, 4)])
def test_the_most_alike_of_those_looked_at(step: int, expected: int) -> None:
    levels = [None, 20, 30, 3, 5, 9, 40]
    assert find_reference(frames(levels), tall, LIKE, best=True, step=step)[0] == expected


def test_nothing_beyond_the_first_face_is_asked_for() -> None:
    given = frames([None, 5, 3, 3])
    find_reference(given, tall, LIKE, best=False)
    assert next(given).time == Fraction(2, 25)


@pytest.mark.parametrize("best", [True, False])
def test_no_face_says_how_many_frames_were_looked_at(best: bool) -> None:
    with pytest.raises(NoFaceFound, match="no face found in 5 frames"):
        find_reference(frames([None] * 5), tall, LIKE, best)
    with pytest.raises(NoFaceFound, match="no face found in 0 frames"):
        find_reference(frames([]), tall, LIKE, best)


def test_a_clip_that_comes_once_is_searched_in_its_beginning_only() -> None:
    levels: list[int | None] = [30] * (LOOKED_AT - 1) + [9] + [3] * 20
    once = Clip(frames(levels), 25, (180, 140), len(levels))
    again = Clip(list(frames(levels)), 25, (180, 140), len(levels))
    model, options = motion_model(), AnimateOptions()
    driver = Driver(once, model, tall, options, LIKE)
    assert driver.report.reference == LOOKED_AT - 1
    assert sum(1 for _ in driver) == len(levels) == driver.report.frames
    assert Driver(again, model, tall, options, LIKE).report.reference >= LOOKED_AT
