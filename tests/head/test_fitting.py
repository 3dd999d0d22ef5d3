"""A head fitted to landmarks whose coefficients are known comes back; what is no face is refused."""

import time
from pathlib import Path

import numpy as np
import pytest

import latentface
from latentface.errors import InputError, UsageError
from latentface.faces.crop import MIRROR
from latentface.head.fitting import Reading, confidence, fit_head, shut_gaps
from latentface.head.gaze import Gaze
from latentface.head.model import HeadModel
from latentface.head.points import inter_ocular
from tests.head.face_on_model import landmarks_of

PATH = Path(latentface.__file__).parent / "pretrained" / "weights" / "head.safetensors"


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel.load(PATH)


def person(seed: int, modes: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.7, modes)


FACES = {
    "smile": {"mouthSmile": 0.8, "mouthUpperUp": 0.3, "jawOpen": 0.15},
    "open": {"jawOpen": 0.6},
    "brows": {"browOuterUp": 0.8, "browInnerUp": 0.7},
    "wink": {"eyeBlinkLeft": 0.9},
    "pucker": {"mouthPucker": 0.8},
    "aside": {"jawLeft": 0.6},
}


@pytest.mark.parametrize("name", FACES)
def test_known_expression_and_pose_come_back(model, name):
    wanted = model.expression_vector(FACES[name])
    pose = (18.0, -7.0, 5.0)
    seen = landmarks_of(model, FACES[name], pose, person(3, 20))
    fit = fit_head(model, seen, definition="mesh")
    assert np.abs(np.array(fit.pose) - pose).max() < 2
    assert np.abs(fit.expression - wanted).mean() < 0.04
    strong = wanted > 0.5
    assert np.abs(fit.expression - wanted)[strong].max() < 0.4
    missed = np.linalg.norm(fit.residual, axis=1) / inter_ocular(seen)
    assert missed[17:].mean() < 0.015
    assert fit.scale == pytest.approx(12.0, rel=0.06) and fit.confidence > 0.8


def test_mirrored_landmarks_give_the_mirrored_fit(model):
    seen = landmarks_of(model, {"mouthSmileLeft": 0.7, "browOuterUpRight": 0.6}, (12.0, 4.0, -3.0))
    mirrored = seen[list(MIRROR)] * (-1, 1) + (320, 0)
    one, other = fit_head(model, seen, definition="mesh"), fit_head(model, mirrored, definition="mesh")
    assert np.allclose([one.yaw, one.pitch, one.roll], [-other.yaw, other.pitch, -other.roll], atol=0.7)
    for name, value in one.coefficients().items():
        swapped = name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")
        assert other.coefficients()[swapped] == pytest.approx(value, abs=0.08)


def test_size_and_place_of_the_face_change_nothing_else(model):
    seen = landmarks_of(model, {"jawOpen": 0.4}, (-10.0, 0.0, 0.0))
    near, far = fit_head(model, seen), fit_head(model, seen * 7.5 + (900, -40))
    assert far.scale == pytest.approx(7.5 * near.scale, rel=1e-6)
    assert np.allclose(near.expression, far.expression, atol=1e-6) and np.allclose(near.pose, far.pose, atol=1e-6)


def test_follows_from_the_frame_before_and_keeps_the_person(model):
    who = person(5, 20)
    first = fit_head(model, landmarks_of(model, {}, (0.0, 0.0, 0.0), who), definition="mesh")
    seen = landmarks_of(model, {"jawOpen": 0.3, "mouthSmile": 0.4}, (6.0, 2.0, 1.0), who)
    began = time.process_time()
    next_ = fit_head(model, seen, start=first, definition="mesh")
    assert time.process_time() - began < 0.15  # 30 ms on a free core
    assert np.sqrt(((next_.identity - first.identity) ** 2).mean()) < 0.15
    assert np.abs(next_.expression - model.expression_vector({"jawOpen": 0.3, "mouthSmile": 0.4})).mean() < 0.03
    assert np.abs(np.array(next_.pose) - (6, 2, 1)).max() < 2


def test_a_reading_settles_what_landmarks_do_not_show(model):
    seen = landmarks_of(model, {}, (0.0, 0.0, 0.0))
    mean = model.expression_vector({"cheekSquint": 0.8}).astype(np.float64)
    reading = Reading(mean, np.full(53, 0.05), Gaze(20.0, -9.0, 1.0))
    fit = fit_head(model, seen, reading=reading, definition="mesh")
    assert fit.coefficients()["cheekSquintLeft"] > 0.5
    assert fit.coefficients()["eyeLookOutLeft"] == pytest.approx(20 / 35)
    assert fit.coefficients()["eyeLookUpRight"] == pytest.approx(9 / 30)


def test_shapes_that_a_reading_does_not_tell_are_fitted_as_without_it(model):
    seen = landmarks_of(model, FACES["smile"])
    nothing = Reading(np.full(53, 0.7), np.full(53, np.inf), Gaze(0.0, 0.0, 0.0))
    told = fit_head(model, seen, reading=nothing, definition="mesh").coefficients()
    alone = fit_head(model, seen, definition="mesh").coefficients()
    assert told == pytest.approx(alone, abs=0.02)


def test_all_but_closed_lips_and_lids_are_closed(model):
    seen = landmarks_of(model, {}, definition="annotated")
    noisy = seen.copy()
    noisy[[61, 62, 63], 1] -= 0.5
    noisy[[65, 66, 67], 1] += 0.3
    fit = fit_head(model, noisy)
    length = inter_ocular(seen)
    placed = fit.landmarks(model)
    gap = np.linalg.norm(placed[[61, 62, 63]] - placed[[67, 66, 65]], axis=1) / length
    assert gap.max() < 0.02 and fit.coefficients()["jawOpen"] < 0.06


def test_open_gaps_stay_and_shutting_is_continuous(model):
    opened = landmarks_of(model, {"jawOpen": 0.5}) / 74.0
    assert np.array_equal(shut_gaps(opened), opened)
    sizes = []
    for gap in np.linspace(0, 0.06, 61):
        points = opened.copy()
        for upper, lower in ((61, 67), (62, 66), (63, 65)):
            points[upper] = points[lower] + (0, gap)
        shut = shut_gaps(points)
        sizes.append(np.linalg.norm(shut[[61, 62, 63]] - shut[[67, 66, 65]], axis=1).mean())
    assert np.diff(sizes[1:]).min() > -1e-9 and np.diff(sizes[1:]).max() < 0.005


@pytest.mark.parametrize("yaw", (-75.0, 75.0))
def test_profiles_are_refused_in_words(model, yaw):
    with pytest.raises(InputError, match=r"turned by \d+ degrees"):
        fit_head(model, landmarks_of(model, {}, (yaw, 0.0, 0.0)), definition="mesh")


def test_what_is_no_face_is_refused(model):
    seen = landmarks_of(model, {})
    scattered = np.random.default_rng(0).uniform(0, 300, (68, 2))
    with pytest.raises(InputError, match="laid out as on a face"):
        fit_head(model, scattered)
    with pytest.raises(InputError, match="laid out as on a face"):
        fit_head(model, seen[list(MIRROR)])
    with pytest.raises(InputError, match="span no face"):
        fit_head(model, np.zeros((68, 2)))
    with pytest.raises(InputError, match="span no face"):
        fit_head(model, np.full((68, 2), np.nan))
    with pytest.raises(UsageError, match=r"\(68, 2\)"):
        fit_head(model, seen[:60])


def test_confidence_falls_with_what_is_missed_and_with_the_yaw():
    small, large = np.full(68, 0.01), np.full(68, 0.06)
    usual = np.zeros(60)
    assert confidence(small, usual, 0.0) > 0.9 > confidence(large, usual, 0.0)
    assert confidence(small, usual, 55.0) < 0.6 and confidence(small, np.full(60, 3.0), 0.0) < 0.1
