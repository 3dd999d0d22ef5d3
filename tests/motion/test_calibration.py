"""Bringing a pose to the photo's: what is said, what is shown, and when it matches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface.faces.square import Square
from latentface.motion import calibration
from tests.helpers.cli_desk import face_points
from tests.helpers.motion_models import wandering


def sight(turn: float = 0.0) -> calibration.Sight:
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = (face_points() - 0.5) @ rotation.T * 90 + (85, 70)
    return calibration.Sight(wandering(0), landmarks, Square.around(landmarks), np.zeros((4, 2), np.float32))


def test_calibration_says_what_to_do_and_when_the_pose_matches() -> None:
    view, done = calibration.compare_poses(sight(), sight())
    assert done
    assert view.shape == (360, 720, 3)
    assert (view == calibration.MATCHED).all(2).any()
    assert (view == calibration.SOURCE).all(2)[:, 360:].any()
    assert (view == calibration.DRIVER).all(2)[:, :360].any()
    view, done = calibration.compare_poses(sight(0.5), sight())
    assert not done
    assert not (view == calibration.MATCHED).all(2).any()
    words = {calibration.advice(sight(turn).pose, sight().pose) for turn in (0.5, -0.5)}
    assert len(words) == 2
    assert all("tilt" in text for text in words)


def test_only_a_near_pose_and_expression_match() -> None:
    assert calibration.matches(sight(0.15), sight())
    assert not calibration.matches(sight(0.3), sight()), "17 degrees of roll"
    talking = sight()
    talking.landmarks[60:68, 1] += 25
    assert not calibration.matches(talking, sight()), "an open mouth"


@pytest.mark.parametrize(
    ("angles", "words"),
    [
        ((20, 5, 0), "turn right 20 degrees"),
        ((-20, 5, 0), "turn left 20 degrees"),
        ((3, 30, 20), "look up 30 degrees"),
        ((3, -30, 20), "look down 30 degrees"),
        ((3, 5, 25), "tilt right 25 degrees"),
        ((3, 5, -25), "tilt left 25 degrees"),
        ((11, 11, -11), "pose matches; now the same expression"),
    ],
)
def test_advice_names_the_angle_that_is_off_most(angles: tuple[float, float, float], words: str) -> None:
    at_rest = sight().pose
    yaw, pitch, roll = angles
    moved = replace(at_rest, yaw=at_rest.yaw + yaw, pitch=at_rest.pitch + pitch, roll=at_rest.roll + roll)
    assert calibration.advice(moved, at_rest) == words
