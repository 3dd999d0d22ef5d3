"""What strengths of built-in directions do to a fitted head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import latentface
from latentface import hub
from latentface.directions.meaning import CONTROLS, EMOTION_UNIT, is_known, meaning_of
from latentface.emotion import Emotion
from latentface.head.controls import is_control
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def fit() -> HeadFit:
    photo = latentface.read_image(ASTRONAUT)
    return fit_head(hub.head_model(), latentface.align(photo)[0].landmarks, photo)


@pytest.fixture(scope="module")
def neutral(fit: HeadFit) -> HeadFit:
    return fit.with_expression(dict.fromkeys(fit.expression_names, 0.0)).with_pose(0, 0, 0)


def test_every_built_in_direction_of_expression_and_pose_is_known() -> None:
    generator = latentface.load_generator()
    for name, direction in hub.list_directions(generator).items():
        moves = (direction.metadata or {}).get("moves")
        moves_head = moves in ("expression", "head")
        assert is_known(name) == moves_head == hub.has_known_meaning(direction, generator), name
        assert not hub.has_known_meaning(2 * direction, generator), "another direction of that name"


def test_strengths_become_weights_of_emotions_and_controls() -> None:
    meaning = meaning_of({"anger": 2.0, "yaw": 0.5, "smile": 1.0})
    assert meaning.emotions == {Emotion.ANGER: 2 * EMOTION_UNIT}
    assert meaning.controls == {"yaw": 0.5 * CONTROLS["yaw"]["yaw"], **CONTROLS["smile"]}


def test_nothing_changes_nothing(fit: HeadFit) -> None:
    assert np.array_equal(meaning_of({}).apply(fit).expression, fit.expression)


def test_an_emotion_takes_the_place_of_a_smile(fit: HeadFit) -> None:
    before = fit.coefficients()
    assert before["mouthSmileLeft"] > 0.3, "the photo smiles"
    after = meaning_of({"sadness": 2.0}).apply(fit).coefficients()
    assert after["mouthSmileLeft"] < 0.05 and after["mouthFrownLeft"] > 0.9
    mild = meaning_of({"sadness": 1.0}).apply(fit).coefficients()
    assert after["mouthSmileLeft"] < mild["mouthSmileLeft"] < before["mouthSmileLeft"]


def test_a_smile_is_no_obstacle_to_happiness(fit: HeadFit) -> None:
    after = meaning_of({"happiness": 2.0}).apply(fit).coefficients()
    assert after["mouthSmileLeft"] > fit.coefficients()["mouthSmileLeft"]


def test_turns_are_added_in_degrees(fit: HeadFit) -> None:
    after = meaning_of({"yaw": 1.0, "pitch": -1.0}).apply(fit)
    assert after.yaw - fit.yaw == pytest.approx(CONTROLS["yaw"]["yaw"])
    assert after.pitch - fit.pitch == pytest.approx(-CONTROLS["pitch"]["pitch"])


def test_every_control_is_one_of_the_head(neutral: HeadFit) -> None:
    for changes in CONTROLS.values():
        assert changes and all(is_control(name, neutral.expression_names) for name in changes)


def test_directions_that_move_the_same_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTROLS, "grin", {"mouthSmile": 0.1, "jawOpen": 0.3})
    assert meaning_of({"smile": 1.0, "grin": 2.0}).controls == pytest.approx(
        {"mouthSmile": 0.6, "cheekSquint": 0.2, "jawOpen": 0.6}
    )


def test_a_name_that_is_no_emotion_is_refused() -> None:
    with pytest.raises(ValueError, match="age"):
        meaning_of({"age": 1.0})


def test_opposite_strengths_cancel(neutral: HeadFit) -> None:
    there = meaning_of({"smile": 1.5}).apply(neutral)
    back = meaning_of({"smile": -1.5}).apply(there)
    assert np.abs(back.expression).max() == pytest.approx(0, abs=1e-9)
