"""Controls of a fitted head: set or added, within their ranges, and parts of a change that are taken alone."""

from __future__ import annotations

import numpy as np
import pytest

from latentface import hub
from latentface.errors import UsageError
from latentface.head.control_names import SMILE
from latentface.head.controls import Change, apply_changes, check_changes, is_control, restrict
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze
from tests.head.face_on_model import landmarks_of

SHOWN = {"mouthSmile": 0.4, "jawOpen": 0.3, "browInnerUp": 0.3}


@pytest.fixture(scope="module")
def fit() -> HeadFit:
    """A head that shows something of everything, its expression known exactly."""
    model = hub.head_model()
    found = fit_head(model, landmarks_of(model, SHOWN, (5.0, -3.0, 2.0)))
    neutral = found.with_expression(dict.fromkeys(found.expression_names, 0.0))
    return neutral.with_expression(SHOWN)


def weights(fit: HeadFit, **changes: Change) -> dict[str, float]:
    """The weights other than 0 after changes; a name of a control has a - where its keyword has a _."""
    made = apply_changes(fit, {name.replace("_", "-"): change for name, change in changes.items()})
    return {name: value for name, value in made.coefficients().items() if value}


def test_names_of_controls_and_shapes(fit: HeadFit) -> None:
    for name in ("smile", "gaze-x", "neutralise", "jawOpen", "mouthSmile", "mouthSmileLeft", "jawLeft"):
        assert is_control(name, fit.expression_names), name
    for name in ("Smile", "jaw-open", "mouth", ""):
        assert not is_control(name, fit.expression_names), name


def test_a_control_sets_its_shapes_and_leaves_the_others(fit: HeadFit) -> None:
    made = apply_changes(fit, {"smile": Change(0.8)}).coefficients()
    for shape, share in SMILE.items():
        assert made[f"{shape}Left"] == made[f"{shape}Right"] == pytest.approx(0.8 * share)
    assert made["jawOpen"] == pytest.approx(0.3) and made["browInnerUpLeft"] == pytest.approx(0.3)


def test_a_relative_control_adds_to_what_is_shown_within_the_weights_range(fit: HeadFit) -> None:
    assert weights(fit, smile=Change(0.2, relative=True))["mouthSmileLeft"] == pytest.approx(0.6)
    assert weights(fit, smile=Change(-1.0, relative=True)).get("mouthSmileLeft", 0.0) == 0.0
    assert weights(fit, jaw=Change(0.9, relative=True))["jawOpen"] == 1.0


def test_brows_go_down_below_zero_and_up_above_it(fit: HeadFit) -> None:
    low, high = weights(fit, brows=Change(-0.5)), weights(fit, brows=Change(0.5))
    assert low["browDownLeft"] == pytest.approx(0.5) and "browInnerUpLeft" not in low
    assert high["browInnerUpLeft"] == pytest.approx(0.4) and high["browOuterUpRight"] == pytest.approx(0.5)
    assert "browDownLeft" not in high
    added = weights(fit, brows=Change(-0.5, relative=True))
    assert added["browDownLeft"] == pytest.approx(0.5) and added["browInnerUpLeft"] == pytest.approx(0.3)


def test_one_eye_winks(fit: HeadFit) -> None:
    made = weights(fit, wink_left=Change(1.0))
    assert made["eyeBlinkLeft"] == 1.0 and "eyeBlinkRight" not in made


def test_the_head_turns_about_its_pose(fit: HeadFit) -> None:
    assert apply_changes(fit, {"yaw": Change(-12.0)}).pose == pytest.approx((-12.0, fit.pitch, fit.roll))
    assert apply_changes(fit, {"roll": Change(4.0, relative=True)}).roll == pytest.approx(fit.roll + 4)


def test_the_eyes_look_right_and_up_and_no_further_than_eyes_turn(fit: HeadFit) -> None:
    right = apply_changes(fit, {"gaze-x": Change(14.0)})
    found = Gaze.of(right.expression_names, right.expression)
    assert (found.yaw, found.pitch) == pytest.approx((14.0, 0.0))
    both = apply_changes(right, {"gaze-y": Change(6.0)})
    found = Gaze.of(both.expression_names, both.expression)
    assert (found.yaw, found.pitch) == pytest.approx((14.0, -6.0))
    for _ in range(4):
        both = apply_changes(both, {"gaze-x": Change(20.0, relative=True), "gaze-y": Change(20.0, relative=True)})
    found = Gaze.of(both.expression_names, both.expression)
    assert (found.yaw, found.pitch) == pytest.approx((YAW_AT_ONE, -PITCH_AT_ONE))
    assert both.coefficients()["jawOpen"] == pytest.approx(0.3)


def test_what_is_neutralised_goes_first_and_the_gaze_stays(fit: HeadFit) -> None:
    looking = apply_changes(fit, {"gaze-x": Change(10.0)})
    made = weights(looking, jaw=Change(0.1, relative=True), neutralise=Change(1.0))
    assert made.pop("jawOpen") == pytest.approx(0.1)
    assert set(made) == {"eyeLookOutLeft", "eyeLookInRight"}
    assert weights(fit, neutralise=Change(0.5))["mouthSmileLeft"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("smile", Change(1.5), "smile is set to 1.5; expected a number from 0 to 1"),
        ("smile", Change(-1.5, relative=True), "smile is added to -1.5; expected a number from -1 to 1"),
        ("yaw", Change(21.0), "expected a number from -20 to 20"),
        ("yaw", Change(float("nan"), relative=True), "expected a number from -40 to 40"),
        ("jawOpen", Change(-0.1), "jawOpen is set to -0.1; expected a number from 0 to 1"),
        ("grin", Change(0.5), "no expression shape 'grin'"),
    ],
)
def test_values_out_of_range_and_unknown_names_are_refused(
    fit: HeadFit, name: str, change: Change, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_changes({name: change}, fit.expression_names)
    with pytest.raises(UsageError, match=message):
        apply_changes(fit, {name: change})


def test_parts_alone_are_taken(fit: HeadFit) -> None:
    after = apply_changes(fit, {"smile": Change(1.0), "blink": Change(1.0), "brows": Change(1.0), "yaw": Change(15.0)})
    for part, shape in (("lips", "mouthSmileLeft"), ("eyes", "eyeBlinkRight"), ("brows", "browOuterUpLeft")):
        made = restrict(fit, after, [part])
        assert made.coefficients()[shape] == after.coefficients()[shape] != fit.coefficients()[shape]
        assert made.pose == pytest.approx(fit.pose)
        changed = {n for n, v in made.coefficients().items() if v != fit.coefficients()[n]}
        assert changed and changed < {n for n, v in after.coefficients().items() if v != fit.coefficients()[n]}
    turned = restrict(fit, after, ["pose"])
    assert turned.pose == after.pose and np.array_equal(turned.expression, fit.expression)
    whole = restrict(fit, after, ["lips", "eyes", "brows", "pose"])
    assert whole.pose == after.pose and np.array_equal(whole.expression, after.expression)
    posed = restrict(fit, after, ["expression"])
    assert posed.pose == fit.pose and np.array_equal(posed.expression, after.expression)
    assert np.array_equal(posed.translation, fit.translation)
    with pytest.raises(UsageError, match="no part nose"):
        restrict(fit, after, ["nose"])
