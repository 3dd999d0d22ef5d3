"""Sampled expressions, gaze, turns and light: within their limits, of their kind, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface import hub
from latentface.emotion import Emotion
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.gaze import Gaze
from latentface.synthface.portrait_actions import (
    KINDS,
    MOST_LOOK,
    MOST_TURN,
    SPEECH,
    VISEMES,
    Relight,
    emotion,
    sample_action,
    sample_light,
    speech,
)
from tests.head.face_on_model import landmarks_of


@pytest.fixture(scope="module")
def smiling() -> HeadFit:
    model = hub.head_model()
    return fit_head(model, landmarks_of(model, {"mouthSmile": 0.8}, (10.0, 0.0, 0.0)))


def test_the_same_seed_gives_the_same_head(smiling: HeadFit) -> None:
    heads = [sample_action(smiling, 3, np.random.default_rng(5))[0] for _ in range(2)]
    assert heads[0].to_json() == heads[1].to_json()
    assert heads[0].to_json() != sample_action(smiling, 3, np.random.default_rng(6))[0].to_json()


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_everything_stays_within_its_limits(smiling: HeadFit, kind: int) -> None:
    own = Gaze.of(smiling.expression_names, smiling.expression)
    for seed in range(40):
        head, strength, light = sample_action(smiling, kind, np.random.default_rng(seed))
        assert (head.expression >= 0).all() and (head.expression <= 1).all() and 0 <= strength <= 1
        assert (np.abs(np.subtract(head.pose, smiling.pose)) <= np.add(MOST_TURN, 1e-9)).all()
        gaze = Gaze.of(head.expression_names, head.expression)
        assert abs(gaze.yaw - own.yaw) <= MOST_LOOK[0] + 1e-6 and abs(gaze.pitch - own.pitch) <= MOST_LOOK[1] + 1e-6
        assert np.abs(light.numbers).max() <= 0.45


def test_a_neutral_face_does_not_smile_on(smiling: HeadFit) -> None:
    shown = [sample_action(smiling, 0, np.random.default_rng(seed))[0].coefficients() for seed in range(60)]
    smiles = [face["mouthSmileLeft"] for face in shown]
    assert smiling.coefficients()["mouthSmileLeft"] > 0.5 > max(smiles) and np.mean(smiles) < 0.05


def test_emotions_and_speech_show_what_belongs_to_them(smiling: HeadFit) -> None:
    names = smiling.expression_names
    for kind, name in ((1, "mouthSmileLeft"), (2, "mouthFrownRight"), (3, "eyeWideLeft"), (4, "browDownLeft")):
        assert KINDS[kind] == tuple(Emotion)[kind].value
        made = [emotion(names, kind, 1.0, np.random.default_rng(seed)) for seed in range(20)]
        assert np.mean(made, axis=0)[names.index(name)] > 0.6
    mouths = np.stack([speech(names, 1.0, np.random.default_rng(seed)) for seed in range(200)])
    jaw = mouths[:, names.index("jawOpen")]
    assert jaw.min() < 0.03 and 0.35 < jaw.max() < 0.8 and jaw.std() > 0.08
    assert KINDS[SPEECH] == "speech" and {name for each in VISEMES.values() for name in each}


def test_closed_eyes_stay_closed_and_some_others_blink(smiling: HeadFit) -> None:
    names = smiling.expression_names
    lids = [names.index("eyeBlinkLeft"), names.index("eyeBlinkRight")]
    expression = smiling.expression.copy()
    expression[lids] = 0.8
    asleep = replace(smiling, expression=expression)
    shut = []
    for seed in range(100):
        head = sample_action(asleep, 3, np.random.default_rng(seed))[0]
        assert (head.expression[lids] == 0.8).all() and head.coefficients()["eyeWideLeft"] == 0
        shut.append(sample_action(smiling, 3, np.random.default_rng(seed))[0].expression[lids[0]] > 0.6)
    assert 2 <= sum(shut) <= 20


def test_light_changes_in_most_pictures_from_all_sides() -> None:
    lights = [sample_light(np.random.default_rng(seed)) for seed in range(200)]
    changed = np.array([light.numbers for light in lights if light != Relight()])
    assert 90 < len(changed) < 150
    assert (changed[:, :2].min(axis=0) < -0.2).all() and (changed[:, :2].max(axis=0) > 0.2).all()


def test_mouths_differ_in_an_emotion() -> None:
    names = hub.head_model().expression_names
    angry = np.array([emotion(names, 4, 1.0, np.random.default_rng(seed)) for seed in range(60)])
    raised, jaw = (angry[:, names.index(name)] for name in ("mouthShrugLower", "jawOpen"))  # chins are, of pressed lips
    assert 0.2 < (raised > 0.1).mean() < 0.5 and jaw[raised > 0.1].max() < 0.25 < np.median(jaw[raised == 0])
