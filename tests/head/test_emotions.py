"""Emotions on a fitted head: action units by weight, and how far the face's own expression gives way."""

from __future__ import annotations

import numpy as np
import pytest

from latentface import hub
from latentface.emotion import Emotion
from latentface.head.coefficients import indices_of
from latentface.head.emotions import ACTION_UNITS, with_emotions
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from tests.head.face_on_model import landmarks_of

FELT = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]


@pytest.fixture(scope="module")
def neutral() -> HeadFit:
    model = hub.head_model()
    found = fit_head(model, landmarks_of(model, {}))
    return found.with_expression(dict.fromkeys(found.expression_names, 0.0))


def test_every_emotion_has_shapes_that_the_head_has(neutral: HeadFit) -> None:
    assert set(ACTION_UNITS) == set(Emotion)
    assert not ACTION_UNITS[Emotion.NEUTRAL]
    for emotion in FELT:
        assert ACTION_UNITS[emotion]
        for name, amount in ACTION_UNITS[emotion].items():
            assert indices_of(neutral.expression_names, name) and 0 < amount <= 1.6


@pytest.mark.parametrize("emotion", FELT)
def test_on_a_neutral_face_the_units_grow_with_the_weight(neutral: HeadFit, emotion: Emotion) -> None:
    half, full = (with_emotions(neutral, {emotion: weight}).expression for weight in (0.5, 1.0))
    assert np.allclose(half, full / 2)
    for name, amount in ACTION_UNITS[emotion].items():
        assert np.allclose(full[indices_of(neutral.expression_names, name)], amount)
    assert np.count_nonzero(full) == sum(
        len(indices_of(neutral.expression_names, name)) for name in ACTION_UNITS[emotion]
    )


def test_a_smile_gives_way_to_anger(neutral: HeadFit) -> None:
    smiling = neutral.with_expression(mouthSmile=0.8, cheekSquint=0.5)
    some, angry = (with_emotions(smiling, {Emotion.ANGER: weight}).coefficients() for weight in (0.35, 0.7))
    assert some["mouthSmileLeft"] == pytest.approx(0.4)
    assert angry["mouthSmileLeft"] == angry["cheekSquintLeft"] == 0
    assert angry["browDownLeft"] == pytest.approx(0.7 * ACTION_UNITS[Emotion.ANGER]["browDown"])


def test_what_a_face_shows_of_the_wanted_emotion_stays(neutral: HeadFit) -> None:
    happy = neutral.with_expression(ACTION_UNITS[Emotion.HAPPINESS])
    more = with_emotions(happy, {Emotion.HAPPINESS: 0.2})
    assert more.coefficients()["mouthSmileLeft"] == pytest.approx(1.2 * ACTION_UNITS[Emotion.HAPPINESS]["mouthSmile"])
    assert with_emotions(happy, {Emotion.HAPPINESS: 1.0}).coefficients()["mouthSmileLeft"] == 1.25, "the most there is"


def test_open_lips_stay_open_as_they_begin_to_smile(neutral: HeadFit) -> None:
    speaking = neutral.with_expression(jawOpen=0.3, mouthLowerDown=0.4, mouthPucker=0.5)
    happy = with_emotions(speaking, {Emotion.HAPPINESS: 1.0}).coefficients()
    assert happy["jawOpen"] == pytest.approx(0.3) and happy["mouthLowerDownLeft"] == pytest.approx(0.4)
    assert happy["mouthUpperUpLeft"] == pytest.approx(ACTION_UNITS[Emotion.HAPPINESS]["mouthUpperUp"])
    assert happy["mouthPucker"] == 0
    assert with_emotions(speaking, {Emotion.SADNESS: 1.0}).coefficients()["jawOpen"] < 0.3


def test_nothing_jumps_as_one_emotion_gives_way_to_another(neutral: HeadFit) -> None:
    speaking = neutral.with_expression(jawOpen=0.5, mouthLowerDown=0.4)
    steps = [{Emotion.SADNESS: 1 - k / 100, Emotion.HAPPINESS: k / 100} for k in range(101)]
    over_time = np.array([with_emotions(speaking, weights).expression for weights in steps])
    assert np.abs(np.diff(over_time, axis=0)).max() < 0.03


def test_a_negative_weight_takes_an_emotion_off(neutral: HeadFit) -> None:
    happy = neutral.with_expression(ACTION_UNITS[Emotion.HAPPINESS]).with_expression(browInnerUp=0.3)
    made = with_emotions(happy, {Emotion.HAPPINESS: -1.0}).coefficients()
    assert made.pop("browInnerUpLeft") == made.pop("browInnerUpRight") == pytest.approx(0.3)
    assert max(made.values()) == pytest.approx(0, abs=1e-9)


def test_gaze_and_lids_stay_whatever_is_felt(neutral: HeadFit) -> None:
    looking = neutral.with_expression(eyeLookUp=0.4, eyeBlinkLeft=0.6, mouthFrown=0.5)
    made = with_emotions(looking, {Emotion.HAPPINESS: 1.0}).coefficients()
    assert made["eyeLookUpLeft"] == pytest.approx(0.4) and made["eyeBlinkLeft"] == pytest.approx(0.6)
    assert made["mouthFrownLeft"] == 0


def test_the_share_of_the_own_expression_can_be_told(neutral: HeadFit) -> None:
    smiling = neutral.with_expression(mouthSmile=0.8)
    for own in (0.0, 0.5, 1.0):
        made = with_emotions(smiling, {Emotion.ANGER: 1.0}, own).coefficients()
        assert made["mouthSmileLeft"] == pytest.approx(0.8 * own)


def test_emotions_add_up_and_none_changes_nothing(neutral: HeadFit) -> None:
    both = with_emotions(neutral, {Emotion.SURPRISE: 0.5, Emotion.HAPPINESS: 0.5}).coefficients()
    jaws = [ACTION_UNITS[emotion]["jawOpen"] for emotion in (Emotion.SURPRISE, Emotion.HAPPINESS)]
    assert both["jawOpen"] == pytest.approx(sum(jaws) / 2) and both["mouthSmileLeft"] == pytest.approx(
        ACTION_UNITS[Emotion.HAPPINESS]["mouthSmile"] / 2
    )
    smiling = neutral.with_expression(mouthSmile=0.8)
    assert np.array_equal(with_emotions(smiling, {}).expression, smiling.expression)
    assert with_emotions(smiling, {Emotion.ANGER: 1.0}).pose == smiling.pose
