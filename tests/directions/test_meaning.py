"""What built-in directions mean for a head: emotions by their action units, the others by controls."""

from __future__ import annotations

import numpy as np
import pytest

from latentface import hub
from latentface.directions.meaning import CONTROLS, EMOTION_UNIT, Meaning, is_known, meaning_of
from latentface.emotion import Emotion
from latentface.head.controls import is_control
from latentface.head.emotions import with_emotions
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.pretrained import directions as library
from latentface.pretrained.catalogue import DEFAULT_GENERATOR
from tests.head.face_on_model import landmarks_of


@pytest.fixture(scope="module")
def neutral() -> HeadFit:
    model = hub.head_model()
    found = fit_head(model, landmarks_of(model, {}))
    return found.with_expression(dict.fromkeys(found.expression_names, 0.0)).with_pose(0, 0, 0)


def test_every_built_in_direction_has_a_meaning_but_those_of_colours() -> None:
    generator = hub.load_generator(DEFAULT_GENERATOR)
    names = {name for key in (generator.base, generator.fingerprint) for name in library.built_in(key or "")}
    assert {name for name in names if not is_known(name)} == {"hair-light", "skin-light"}
    assert set(CONTROLS) < names
    assert not is_known("age") and not is_known("Happiness")


def test_every_control_is_one_of_the_head(neutral: HeadFit) -> None:
    for changes in CONTROLS.values():
        assert changes and all(is_control(name, neutral.expression_names) for name in changes)


def test_strengths_become_weights_and_what_is_added_to_controls() -> None:
    found = meaning_of({"happiness": 2.0, "smile": 1.0, "yaw": -0.5})
    assert found.emotions == {Emotion.HAPPINESS: 2 * EMOTION_UNIT}
    assert found.controls == {"mouthSmile": 0.4, "cheekSquint": 0.2, "yaw": -6.6}
    assert meaning_of({}) == Meaning()


def test_directions_that_move_the_same_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTROLS, "grin", {"mouthSmile": 0.1, "jawOpen": 0.3})
    assert meaning_of({"smile": 1.0, "grin": 2.0}).controls == pytest.approx(
        {"mouthSmile": 0.6, "cheekSquint": 0.2, "jawOpen": 0.6}
    )


def test_a_name_that_is_no_emotion_is_refused() -> None:
    with pytest.raises(ValueError, match="age"):
        meaning_of({"age": 1.0})


def test_it_moves_a_head(neutral: HeadFit) -> None:
    made = meaning_of({"mouth-open": 2.0, "yaw": 1.0, "brows-up": 1.0}).apply(neutral)
    assert made.coefficients()["jawOpen"] == pytest.approx(0.4)
    assert made.coefficients()["browInnerUpLeft"] == pytest.approx(0.4)
    assert made.pose == pytest.approx((13.2, 0, 0))
    happy = meaning_of({"happiness": 1.5}).apply(neutral)
    wanted = with_emotions(neutral, {Emotion.HAPPINESS: 1.5 * EMOTION_UNIT})
    assert np.array_equal(happy.expression, wanted.expression)
    assert meaning_of({}).apply(neutral).coefficients() == neutral.coefficients()


def test_opposite_strengths_cancel(neutral: HeadFit) -> None:
    there = meaning_of({"smile": 1.5}).apply(neutral)
    back = meaning_of({"smile": -1.5}).apply(there)
    assert np.abs(back.expression).max() == pytest.approx(0, abs=1e-9)
