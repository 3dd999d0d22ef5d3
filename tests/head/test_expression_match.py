"""A head takes the expression of another by what is measured in both, whatever a fit takes for build."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface import hub
from latentface.errors import UsageError
from latentface.head.expression_match import BROW_LEAST, LIDS_RANGE, NARROWER, match_expression
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.gaze import Gaze
from latentface.head.measures import LIDS_APART, MEASURES, measure_head
from tests.head.face_on_model import landmarks_of

MODEL = hub.head_model()
NAMES = list(MEASURES)


def head(seed: int, expression: dict[str, float], pose: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> HeadFit:
    """The fit of a person, by landmarks alone."""
    identity = np.random.default_rng(seed).normal(0, 0.6, len(MODEL.identity))
    return fit_head(MODEL, landmarks_of(MODEL, expression, pose, identity, definition="annotated"))


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ({"jawOpen": 0.3}, "lips apart"), ({"mouthFrownLeft": 0.6, "mouthFrownRight": 0.6}, "corners"),
        ({"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5}, "lids apart"),
        ({"browOuterUpLeft": 0.6, "browOuterUpRight": 0.6}, "outer brows"),
        ({"browInnerUpLeft": 0.8, "browInnerUpRight": 0.8}, "inner brows"),
    ],
)  # fmt: skip
def test_what_is_measured_in_another_person_is_reached(expression: dict[str, float], name: str) -> None:
    own, theirs = head(1, {"mouthSmileLeft": 0.4, "mouthSmileRight": 0.4}, (8.0, -4.0, 5.0)), head(2, expression)
    asked = measure_head(MODEL, theirs) - measure_head(MODEL, own)
    asked[LIDS_APART] *= LIDS_RANGE
    moved = measure_head(MODEL, match_expression(MODEL, own, theirs)) - measure_head(MODEL, own)
    place = NAMES.index(name)
    assert abs(asked[place]) > 0.02
    least = 0.55 if "brows" in name else 0.85  # brows are taken for build in part
    assert least < moved[place] / asked[place] < 1.15


def test_open_eyes_stay_open_when_the_others_are_narrow() -> None:
    own, theirs = head(1, {}), head(2, {"eyeSquintLeft": 1.0, "eyeSquintRight": 1.0})
    narrow = replace(theirs, missing=theirs.missing * (1, 0, 1))
    narrow.missing[[37, 38, 43, 44], 1] -= 0.6  # centimetres: lids that nearly meet
    left = measure_head(MODEL, match_expression(MODEL, own, narrow))[LIDS_APART]
    assert left == pytest.approx((1 - NARROWER) * measure_head(MODEL, own)[LIDS_APART], rel=0.1)


def test_strength_scales_the_change_and_none_is_none() -> None:
    own, theirs = head(1, {}), head(2, {"jawOpen": 0.3})
    at = measure_head(MODEL, own)
    half, whole = (measure_head(MODEL, match_expression(MODEL, own, theirs, s)) - at for s in (0.5, 1.0))
    assert half[0] == pytest.approx(0.5 * whole[0], rel=0.1)
    assert match_expression(MODEL, own, own).expression == pytest.approx(own.expression, abs=1e-9)
    assert match_expression(MODEL, own, theirs, 0.0).expression == pytest.approx(own.expression, abs=1e-9)


def test_what_an_earlier_try_missed_is_added() -> None:
    own, theirs = head(1, {}), head(2, {"jawOpen": 0.3})
    extra = np.zeros(len(NAMES))
    extra[0] = 0.05
    plain, more = (measure_head(MODEL, match_expression(MODEL, own, theirs, 1.0, e))[0] for e in (None, extra))
    assert more - plain == pytest.approx(0.05, abs=0.01)


def test_weights_stay_within_their_bounds() -> None:
    own, theirs = head(1, {}), head(2, {"browDownLeft": 1.0, "browDownRight": 1.0, "jawOpen": 1.0})
    extra = np.full(len(NAMES), -0.3)
    made = match_expression(MODEL, own, theirs, 1.5, extra).coefficients()
    brows = {name: weight for name, weight in made.items() if name.startswith("brow")}
    assert min(brows.values()) >= BROW_LEAST and min(brows.values()) < 0
    assert all(0 <= weight <= 1 for name, weight in made.items() if name not in brows)


def test_people_who_turn_their_heads_and_look_into_the_camera_look_the_same_way() -> None:
    own, theirs = head(1, {}), head(2, {}, (20.0, 0.0, 0.0))
    looks = Gaze(-20.0, 0.0, 1.0).weights(theirs.expression_names)
    into = replace(theirs, expression=np.where(looks > 0, looks, theirs.expression))
    assert Gaze.of(own.expression_names, match_expression(MODEL, own, into).expression).yaw == pytest.approx(0, abs=0.1)
    away = Gaze.of(own.expression_names, match_expression(MODEL, own, theirs).expression)
    assert away.yaw == pytest.approx(theirs.yaw - own.yaw, abs=3)


def test_heads_of_another_model_are_refused() -> None:
    own = head(1, {})
    with pytest.raises(UsageError, match="one model"):
        match_expression(MODEL, own, replace(own, expression_names=own.expression_names[::-1]))
