"""The change between two pictures of a person: what moved comes out, what stayed does not, whoever it is."""

from pathlib import Path

import numpy as np
import pytest

import latentface
from latentface.errors import InputError
from latentface.head.change import read_change
from latentface.head.fitting import Reading
from latentface.head.gaze import Gaze
from latentface.head.model import HeadModel
from tests.head.face_on_model import landmarks_of

PATH = Path(latentface.__file__).parent / "pretrained" / "weights" / "head.safetensors"
PICTURE = np.full((340, 320, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel.load(PATH)


@pytest.fixture(scope="module")
def stranger() -> np.ndarray:
    """What the model cannot make of a person: up to two pixels at each point, the same in both pictures."""
    return np.random.default_rng(4).uniform(-2, 2, (68, 2))


def change(model, stranger, before, after, **options):
    who = np.random.default_rng(2).normal(0, 0.7, 30)
    pictures = [
        (PICTURE, landmarks_of(model, face, (8.0, 3.0, 0.0), who, definition="annotated") + stranger)
        for face in (before, after)
    ]
    return read_change(model, *pictures, **options)


def test_nothing_changes_between_equal_pictures(model, stranger):
    found = change(model, stranger, {"mouthSmile": 0.4}, {"mouthSmile": 0.4})
    assert found.expression == {} and np.abs(found.pose).max() < 0.1


@pytest.mark.parametrize(
    ("after", "named"),
    [
        ({"mouthSmile": 0.7, "mouthUpperUp": 0.3}, "mouthSmile"),
        ({"browInnerUp": 0.7, "browOuterUp": 0.8, "jawOpen": 0.4}, "browOuterUp"),
        ({"mouthFrown": 0.8}, "mouthFrown"),
        ({"browDown": 0.8}, "browDown"),
        ({"eyeBlink": 0.9}, "eyeBlink"),
    ],
)
def test_what_moved_comes_out_first(model, stranger, after, named):
    found = change(model, stranger, {}, after)
    first = max(found.expression, key=lambda name: found.expression[name])
    assert first in (f"{named}Left", f"{named}Right")
    asked = model.expression_vector(after)
    given = model.expression_vector(found.expression)
    moved = np.tensordot(given - asked, model.expressions[:, model.landmarks[17:]], 1)
    wanted = np.tensordot(asked, model.expressions[:, model.landmarks[17:]], 1)
    assert np.linalg.norm(moved[..., :2]) < 0.55 * np.linalg.norm(wanted[..., :2])
    assert np.array_equal(found.before.identity.round(2), found.after.identity.round(2))


def test_a_change_back_is_negative_and_applies_to_another_fit(model, stranger):
    found = change(model, stranger, {"jawOpen": 0.6}, {})
    assert found.expression["jawOpen"] < -0.4
    other = found.before.with_expression(jawOpen=0.9)
    assert found.apply(other).coefficients()["jawOpen"] == pytest.approx(0.9 + found.expression["jawOpen"])
    assert found.apply(other, strength=0.5).coefficients()["jawOpen"] > found.apply(other).coefficients()["jawOpen"]
    assert found.apply(other).pose == other.pose
    turned = found.apply(other, turn=True)
    assert turned.pose == pytest.approx(np.add(other.pose, found.pose))


def test_noise_is_left_out(model, stranger):
    small = change(model, stranger, {}, {"mouthSmile": 0.5}, noise=0.3)
    assert small.expression and min(abs(v) for v in small.expression.values()) >= 0.3


class Told:
    """A reader that knows what two pictures show, with the same errors in both."""

    def __init__(self, model, before, after, gaze):
        self.errors = np.random.default_rng(0).uniform(0, 0.2, len(model.expression_names))
        self.readings = [
            Reading(model.expression_vector(weights) + self.errors, np.full(53, 0.02), Gaze(*angles, 0.5))
            for weights, angles in ((before, (2.0, 8.0)), (after, gaze))
        ]

    def __call__(self, photo, landmarks, names):
        return self.readings.pop(0)


def test_a_reader_tells_what_landmarks_do_not_show(model, stranger):
    after = {"cheekSquint": 0.6}
    alone = change(model, stranger, {}, after).expression
    found = change(model, stranger, {}, after, reader=Told(model, {}, after, (14.0, 9.5))).expression
    assert found["cheekSquintLeft"] == pytest.approx(0.6, abs=0.12)
    assert alone.get("cheekSquintLeft", 0.0) < found["cheekSquintLeft"] - 0.1
    looks = {name: value for name, value in found.items() if name.startswith("eyeLook")}
    assert looks["eyeLookOutLeft"] == pytest.approx(12 / 35, abs=0.02)  # 12 degrees; 1.5 of pitch are noise
    assert looks["eyeLookInRight"] == pytest.approx(12 / 35, abs=0.02) and set(looks) == {
        "eyeLookOutLeft", "eyeLookInRight",
    }  # fmt: skip


def test_a_readers_constant_errors_cancel(model, stranger):
    same = Told(model, {}, {}, (2.0, 8.0))
    assert change(model, stranger, {}, {}, reader=same).expression == {}


def test_no_face_is_refused(model):
    face = landmarks_of(model, {})
    with pytest.raises(InputError):
        read_change(model, (PICTURE, np.zeros((68, 2))), (PICTURE, face))
