"""What strengths of built-in directions do to a fitted head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import latentface
from latentface import hub
from latentface.directions.meaning import CONTROLS, EMOTION_UNIT, is_known, meaning_of
from latentface.emotion import Emotion
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def fit() -> HeadFit:
    photo = latentface.read_image(ASTRONAUT)
    return fit_head(hub.head_model(), latentface.align(photo)[0].landmarks, photo)


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
