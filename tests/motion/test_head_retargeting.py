"""The motion of a driver's head in the head of a photo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.measures import MEASURES, measure_head
from latentface.motion.head_motion import HeadMotion
from latentface.motion.head_retargeting import CLOSING, WIDER, HeadRetargeting, limit, opening
from latentface.options.clips import AnimateOptions
from tests.helpers.driving_heads import TABLE
from tests.helpers.head_picture import model


def motion(**changes: Any) -> HeadMotion:
    """The model's own head at rest, with changes."""
    rest = fit_head(model(), TABLE[0])
    head = replace(rest, expression=changes.pop("expression", rest.expression))
    return replace(HeadMotion.of(model(), head, rest), **changes)


def weights(**named: float) -> np.ndarray:
    return model().expression_vector(named).astype(np.float64)


def retarget(reference: HeadMotion, driving: HeadMotion, mode: str = "relative", only: str = "", **source: float):
    head = fit_head(model(), TABLE[0])
    head = replace(head, expression=weights(**source), yaw=0.0, pitch=0.0, roll=0.0)
    return head, HeadRetargeting(model(), head, reference, AnimateOptions(mode=mode, only=only))(driving)


def test_a_driver_in_its_reference_pose_leaves_the_head_as_it_is() -> None:
    reference = motion(expression=weights(jawOpen=0.3, mouthLeft=0.2), pose=np.array([5.0, -3, 2]))
    head, made = retarget(reference, reference, mouthSmileLeft=0.5, eyeBlinkRight=0.2)
    assert np.allclose(made.expression, head.expression, atol=1e-9)
    assert np.allclose(made.project(model()), head.project(model()), atol=1e-6)


def measured(fit: HeadFit, name: str) -> float:
    return float(measure_head(model(), fit)[list(MEASURES).index(name)])


def test_changes_are_added_to_the_photo_s_own_expression_within_0_and_1() -> None:
    reference = motion(expression=weights(noseSneerLeft=0.2, cheekPuffLeft=0.3))
    driving = motion(expression=weights(noseSneerLeft=0.6, cheekPuffLeft=0.1, eyeSquintLeft=0.9))
    _, made = retarget(reference, driving, noseSneerLeft=0.1, cheekPuffLeft=0.1, eyeSquintLeft=0.4)
    found = made.coefficients()
    assert found["noseSneerLeft"] == pytest.approx(0.5)
    assert found["cheekPuffLeft"] == 0
    assert found["eyeSquintLeft"] == 1


@pytest.mark.parametrize("name", ["lips apart", "inner brows", "mouth's width"])
def test_measures_change_as_the_driver_s_although_weights_reach_their_bounds(name: str) -> None:
    reference = motion(expression=weights(mouthSmileLeft=0.3, mouthSmileRight=0.3, browDownLeft=0.3, browDownRight=0.3))
    driving = motion(expression=weights(jawOpen=0.4, mouthPucker=0.4, browInnerUp=0.3))
    head, made = retarget(reference, driving, mouthPucker=0.7)
    asked = (driving.measures - reference.measures)[list(MEASURES).index(name)]
    assert abs(asked) > 0.015
    assert measured(made, name) - measured(head, name) == pytest.approx(asked, rel=0.25)
    assert made.expression.min() >= 0 and made.expression.max() <= 1


def test_lips_meet_where_the_driver_s_meet() -> None:
    smile = {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6, "jawOpen": 0.2}
    head, made = retarget(motion(expression=weights(jawOpen=0.15)), motion(expression=weights()), **smile)
    assert measured(head, "lips apart") > 0.1
    assert measured(made, "lips apart") == pytest.approx(0, abs=0.02)


def test_an_opening_is_the_photo_s_own_the_driver_s_or_between() -> None:
    assert opening(0.2, 0.1, 0.1) == pytest.approx(0.2)
    assert opening(0.2, 0.1, 0.0) == pytest.approx(0.0)
    assert opening(0.2, 0.1, 0.2) == pytest.approx(0.3)  # as much more as the driver's
    assert opening(0.05, 0.1, 0.1 + WIDER) == pytest.approx(0.1 + WIDER)  # as far as the driver's
    assert opening(0.05, 0.1, 0.0) == 0
    assert opening(0.4, 0.0, -0.01) == pytest.approx(0.4 - CLOSING * 0.01)  # noise is not multiplied further
    steps = [opening(0.2, 0.1, driving) for driving in np.linspace(0, 0.4, 50)]
    assert (np.diff(steps) > 0).all()


def test_less_of_a_shape_is_some_of_the_opposed_one() -> None:
    reference = motion(expression=weights(mouthLeft=0.4))
    _, made = retarget(reference, motion(expression=weights(mouthLeft=0.1)), mouthLeft=0.1)
    found = made.coefficients()
    assert (found["mouthLeft"], found["mouthRight"]) == (0, pytest.approx(0.2))


def test_absolute_takes_the_driver_s_own_expression_gaze_and_pose() -> None:
    reference = motion(expression=weights(jawOpen=0.5))
    driving = motion(expression=weights(jawOpen=0.5), gaze=np.array([7.0, 0]), pose=np.array([6.0, 2, -4]))
    _, made = retarget(reference, driving, "absolute", mouthSmileLeft=0.8)
    found = made.coefficients()
    assert found["jawOpen"] == pytest.approx(0.5) and found["mouthSmileLeft"] == 0
    assert found["eyeLookOutLeft"] == pytest.approx(0.2)
    assert made.pose == pytest.approx((6, 2, -4))


def test_heads_turn_no_further_than_20_15_and_15_degrees() -> None:
    for size in (30.0, 90.0):
        _, made = retarget(motion(pose=np.zeros(3)), motion(pose=np.array([size, -size, size])))
        assert 15 < made.yaw <= 20 and -15 <= made.pitch < -12 and 12 < made.roll <= 15
    _, made = retarget(motion(pose=np.zeros(3)), motion(pose=np.array([8.0, -5, 3])))
    assert made.pose == pytest.approx((8, -5, 3))
    turns = np.linspace(-60, 60, 200)
    assert (np.diff([limit(turn, 20) for turn in turns]) > 0).all()


def test_a_neck_that_moves_stays_near_and_a_head_that_grows_grows_about_it() -> None:
    head, made = retarget(motion(), motion(place=np.array([0.3, -0.2])))
    assert np.allclose(made.translation - head.translation, np.array([0.3, -0.2]) * head.scale)
    head, made = retarget(motion(), motion(place=np.array([9.0, 0]), size=0.5))
    assert np.linalg.norm(made.translation - head.translation) < 1.2 * head.scale
    assert head.scale < made.scale < 1.07 * head.scale


@pytest.mark.parametrize("only", ["lips", "eyes", "brows", "pose", "expression"])
def test_what_is_left_out_stays_as_the_photo_has_it(only: str) -> None:
    changed = weights(jawOpen=0.5, browInnerUp=0.4)
    driving = motion(
        expression=changed, gaze=np.array([7.0, 0]), pose=np.array([6.0, 2, -4]), place=np.array([0.3, 0.0]), size=0.02
    )
    head, made = retarget(motion(expression=weights(), pose=np.zeros(3)), driving, only=only)
    moved = {
        "lips": made.coefficients()["jawOpen"] > 0.4, "brows": made.coefficients()["browInnerUpLeft"] > 0.3,
        "eyes": made.coefficients()["eyeLookOutLeft"] > 0.1, "pose": made.pose != head.pose,
    }  # fmt: skip
    asked = ("lips", "brows", "eyes") if only == "expression" else (only,)
    assert moved == {part: part in asked for part in moved}
    kept = np.array_equal(made.translation, head.translation) and made.scale == head.scale
    assert kept is (only != "pose")


def test_a_blink_shuts_the_photo_s_eyes() -> None:
    driving = motion(shut=np.array([1.0, 1.0]))
    _, made = retarget(motion(), driving, eyeBlinkLeft=0.3)
    found = made.coefficients()
    assert (found["eyeBlinkLeft"], found["eyeBlinkRight"]) == (1, 1)
