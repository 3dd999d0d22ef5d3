"""The heads of a driving clip: what changes, what does not, and frames without one."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from latentface import api
from latentface.faces.alignment import BuiltinLandmarks
from latentface.faces.people import People
from latentface.faces.person_tracker import PersonTracker
from latentface.motion.head_driver import HeadDriver, HeadLook
from latentface.motion.head_motion import HeadMotion
from latentface.options.clips import AnimateOptions
from latentface.pretrained import load_landmarks
from tests.helpers.driving_heads import OPTIONS, TABLE, clip_of, landmarks, see_by_first_pixel
from tests.helpers.head_picture import model


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    see_by_first_pixel(monkeypatch)


def heads(*numbers: int, options: AnimateOptions = OPTIONS) -> tuple[HeadDriver, list[HeadMotion | None]]:
    driver = HeadDriver(clip_of(*numbers), model(), api.landmark_predictor(), options, TABLE[0])
    return driver, [head for _, head in driver]


def test_what_moves_in_the_pictures_moves_in_the_head_and_nothing_else() -> None:
    driver, seen = heads(1, 6, options=replace(OPTIONS, smooth=0.0))
    rest, opened = seen
    assert rest is not None and opened is not None
    assert np.abs(rest.expression - driver.reference.expression).max() < 0.05
    jaw = model().expression_names.index("jawOpen")
    assert opened.expression[jaw] - driver.reference.expression[jaw] > 0.25
    assert np.abs(opened.pose - driver.reference.pose).max() < 2
    assert np.linalg.norm(opened.place) < 0.3


def test_a_turn_is_told_in_degrees_and_a_shift_in_centimetres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, 50, landmarks(pose=(10, 0, -6)))
    monkeypatch.setitem(TABLE, 51, TABLE[1] + np.array([9.0, 0]))
    driver, (turned, moved) = heads(50, 51, options=replace(OPTIONS, smooth=0.0, best_frame=True))
    assert turned is not None and moved is not None
    change = turned.pose - moved.pose
    assert change == pytest.approx([10, 0, -6], abs=2)
    assert driver.person.scale == pytest.approx(9, rel=0.1)
    assert np.linalg.norm(moved.place) == pytest.approx(1 if driver.report.reference == 0 else 0, abs=0.25)


def test_the_filter_keeps_a_still_head_still(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, (30, 68, 2))
    for k in range(30):
        monkeypatch.setitem(TABLE, 100 + k, TABLE[1] + noise[k])
    clip = clip_of(1, *range(100, 130))
    spreads = []
    for smooth in (0.0, None):
        driver = HeadDriver(clip, model(), api.landmark_predictor(), replace(OPTIONS, smooth=smooth), TABLE[0])
        seen = np.stack([each.pack() for _, each in driver if each is not None])
        spreads.append(float(seen[8:].std(0).mean()))
    assert spreads[1] < 0.6 * spreads[0]


def embed(crops: np.ndarray) -> np.ndarray:
    """Everybody looks the same."""
    return np.ones((len(crops), 1), np.float32)


class PickledCopies:
    """In place of a `SeparateProcess`, with what is sent to it."""

    def run(self, look: HeadLook, trial: np.ndarray) -> HeadLook:
        for copy in (pickle.loads(pickle.dumps(look)) for _ in range(2)):
            copy(trial)
        return pickle.loads(pickle.dumps(look))


def test_a_driver_of_one_of_several_people_can_look_elsewhere() -> None:
    found = []
    for process in (None, PickledCopies()):
        landmarks = BuiltinLandmarks(load_landmarks())
        person = PersonTracker(People(landmarks, embed), who=1)
        clip = replace(clip_of(1, 6), frames=iter(clip_of(1, 6).frames), count=None)
        driver = HeadDriver(clip, model(), landmarks, OPTIONS, TABLE[0], person, process)
        found.append([head.pack() for _, head in driver if head is not None])
    assert len(found[0]) == 2 and np.array_equal(*found)


def test_a_driver_s_head_turned_away_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, 50, landmarks(pose=(75, 0, 0)))
    driver, seen = heads(1, 50, 4)
    assert driver.report.missing == [1]
    assert seen[1] is seen[0] and seen[2] is not seen[0]
