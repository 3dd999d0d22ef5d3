"""The morphable head that comes with the package: whole, symmetric, and moved by ARKit's names as these say."""

from pathlib import Path

import numpy as np
import pytest
import torch

import latentface
from latentface.errors import UsageError, WeightsError
from latentface.head.model import HeadModel
from latentface.io.tensors import write_tensors

PATH = Path(latentface.__file__).parent / "pretrained" / "weights" / "head.safetensors"


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel.load(PATH)


def moved(model: HeadModel, **coefficients: float) -> np.ndarray:
    return model.vertices(None, model.expression_vector(coefficients)) - model.neutral


def test_is_small_and_whole(model):
    assert PATH.stat().st_size <= 10_000_000
    vertices = len(model.neutral)
    assert len(model.identity) >= 60 and model.identity.shape[1:] == (vertices, 3)
    assert model.expressions.shape == (53, vertices, 3) == (len(model.expression_names), vertices, 3)
    assert model.triangles.min() == 0 and model.triangles.max() == vertices - 1
    together = np.sort(np.concatenate(list(model.parts.values())))
    assert np.array_equal(together, np.arange(len(model.triangles)))  # each triangle is of one part
    assert all(w.shape == (vertices,) and w.min() >= 0 and 0.5 < w.max() <= 1 for w in model.regions.values())


def test_landmarks_lie_where_dlib_has_them(model):
    x, y, z = model.neutral[model.landmarks].T
    assert z[30] == z.max()  # the tip of the nose
    assert x[36] < x[39] < 0 < x[42] < x[45]  # the subject's right is the viewer's left
    assert y[19] > y[37] > y[41] > y[51] > y[62] >= y[66] > y[57] > y[8]


def test_skin_faces_outward(model):
    a, b, c = model.neutral[model.part("skin").T]
    normals = np.cross(b - a, c - a)
    middle = (a + b + c) / 3
    front = (middle[:, 2] > 9) & (middle[:, 1] > 4.5)  # the forehead
    assert front.sum() > 500 and np.mean(normals[front, 2] > 0) > 0.95


def test_mirror_is_an_involution_of_places(model):
    there = model.neutral[model.mirror] * [-1, 1, 1]
    assert np.abs(there - model.neutral).max() < 0.05
    assert np.mean(model.mirror[model.mirror] == np.arange(len(model.mirror))) > 0.98


def test_loops_are_rings_of_skin_edges(model):
    assert set(model.loops) == {"mouth", "eye_left", "eye_right"}
    skin = {frozenset(edge) for t in model.part("skin") for edge in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))}
    for ring in model.loops.values():
        assert len(set(ring.tolist())) == len(ring)
        assert all(frozenset(edge) in skin for edge in zip(ring, np.roll(ring, -1), strict=True))


@pytest.mark.parametrize(
    ("name", "landmark", "axis", "sign"),
    [
        ("jawOpen", 57, 1, -1), ("mouthSmileLeft", 54, 1, 1), ("mouthSmileRight", 48, 1, 1), ("browInnerUp", 21, 1, 1),
        ("browDownLeft", 23, 1, -1), ("eyeBlinkLeft", 43, 1, -1), ("jawLeft", 8, 0, 1), ("mouthFrownRight", 48, 1, -1),
    ],
)  # fmt: skip
def test_expressions_do_what_their_names_say(model, name, landmark, axis, sign):
    assert sign * moved(model, **{name: 1.0})[model.landmarks[landmark], axis] > 0.2


def test_the_jaw_carries_the_lower_teeth_alone(model):
    shift = moved(model, jawOpen=1.0)
    assert np.abs(shift[model.part("teeth_upper")]).max() < 0.01
    assert shift[model.part("teeth_lower"), 1].max() < -1.0
    assert shift[model.part("tongue"), 1].max() < -0.2


@pytest.mark.parametrize(("name", "axis", "sign"), [("Up", 1, 1), ("Down", 1, -1), ("Out", 0, 1), ("In", 0, -1)])
def test_gaze_turns_the_eyeball(model, name, axis, sign):
    iris = np.unique(model.part("iris_left"))
    iris = iris[model.neutral[iris, 2] > 9.2]
    assert sign * moved(model, **{f"eyeLook{name}Left": 1.0})[iris, axis].mean() > 0.3
    assert not moved(model, **{f"eyeLook{name}Left": 1.0})[model.part("iris_right")].any()


def test_identity_is_linear_and_short_vectors_mean_the_first_modes(model):
    a = np.zeros(20)
    a[[0, 5]] = 1.5, -2
    expected = model.neutral + 1.5 * model.identity[0] - 2 * model.identity[5]
    assert np.allclose(model.vertices(a), expected, atol=1e-5)
    chosen = model.at(model.landmarks)
    assert np.allclose(chosen.vertices(a), expected[model.landmarks], atol=1e-5)


def test_names_without_sides_mean_both(model):
    both = model.expression_vector({"browInnerUp": 0.5})
    assert both.sum() == 1 and {model.expression_names[k] for k in both.nonzero()[0]} == {
        "browInnerUpLeft",
        "browInnerUpRight",
    }


def test_wrong_coefficients_are_refused(model):
    with pytest.raises(UsageError, match="'grin' is unknown"):
        model.expression_vector({"grin": 1})
    with pytest.raises(UsageError, match=r"identity have shape \[61\]: expected at most \[60\]"):
        model.vertices(np.zeros(61))
    with pytest.raises(UsageError, match=r"expression have shape \[3\]: expected \[53\]"):
        model.vertices(None, np.zeros(3))


def test_saves_what_it_loads(model, tmp_path):
    model.save(tmp_path / "head.safetensors")
    again = HeadModel.load(tmp_path / "head.safetensors")
    assert np.array_equal(again.expressions, model.expressions) and np.array_equal(again.triangles, model.triangles)
    assert np.abs(again.identity - model.identity).max() < 1e-5
    assert (tmp_path / "head.safetensors").stat().st_size == PATH.stat().st_size


def test_other_files_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        HeadModel.load(tmp_path / "none.safetensors")
    write_tensors(tmp_path / "other.safetensors", {"neutral": torch.zeros(3, 3)}, {"kind": "generator"})
    with pytest.raises(WeightsError, match="kind 'generator'"):
        HeadModel.load(tmp_path / "other.safetensors")
    write_tensors(
        tmp_path / "part.safetensors",
        {"neutral": torch.zeros(3, 3)},
        {"kind": "head-model", "version": "1", "expression_names": "[]"},
    )
    with pytest.raises(WeightsError, match="not a whole head-model"):
        HeadModel.load(tmp_path / "part.safetensors")
