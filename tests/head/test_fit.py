"""HeadFit: projected without a change it meets the person's points; changed, it moves as the model says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import latentface
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop, ffhq_quad
from latentface.head.fit import NECK_JOINT, HeadFit
from latentface.head.fitting import fit_head
from latentface.head.light import harmonics, vertex_normals
from latentface.head.model import HeadModel
from tests.head.face_on_model import landmarks_of

PATH = Path(latentface.__file__).parent / "pretrained" / "weights" / "head.safetensors"


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel.load(PATH)


@pytest.fixture(scope="module")
def seen(model) -> np.ndarray:
    """A face that the model cannot make: every point moved by up to two pixels."""
    exact = landmarks_of(model, {"mouthSmile": 0.5, "jawOpen": 0.3}, (14.0, 5.0, -6.0))
    return exact + np.random.default_rng(1).uniform(-2, 2, (68, 2))


@pytest.fixture(scope="module")
def fit(model, seen) -> HeadFit:
    return fit_head(model, seen)


def test_unchanged_it_lies_on_the_persons_points(model, seen, fit):
    assert np.abs(fit.landmarks(model) - seen).max() < 0.02
    assert np.abs(fit.residual[17:]).max() > 0.5  # which the model alone would miss


def test_y_points_down_and_z_to_the_viewer(model, fit):
    placed = fit.project(model)
    points = placed[model.landmarks]
    assert points[8, 1] > points[27, 1] and points[30, 2] == points[:, 2].max()


def test_what_was_missed_turns_with_the_head(model, fit):
    turned = fit.with_pose(yaw=-20, pitch=3, roll=9)
    assert turned.pose == (-20, 3, 9)
    expected = fit.project(model, pose=(-20, 3, 9))
    assert np.allclose(turned.project(model), expected, atol=1e-6)
    # rigid: distances between vertices stay
    before = fit.project(model)
    some = np.random.default_rng(0).integers(0, len(before), (2, 200))
    length = [np.linalg.norm(v[some[0]] - v[some[1]], axis=1) for v in (before, expected)]
    assert np.allclose(*length, atol=1e-6)
    assert np.allclose(turned.with_pose(*fit.pose).project(model), before, atol=1e-6)
    assert fit.with_pose(roll=5, relative=True).pose == pytest.approx((fit.yaw, fit.pitch, fit.roll + 5))


def test_a_turn_leaves_the_neck_joint_in_place(fit):
    def place(f: HeadFit) -> np.ndarray:
        return f.scale * (f.rotation @ NECK_JOINT)[:2] * (1, -1) + f.translation

    assert np.allclose(place(fit), place(fit.with_pose(30, -10, 4)))


def test_expressions_move_it_as_the_model_says(model, fit):
    opened = fit.with_expression(jawOpen=0.9)
    moved = opened.project(model) - fit.project(model)
    delta = model.expressions[model.expression_names.index("jawOpen")] * (0.9 - fit.coefficients()["jawOpen"])
    wanted = fit.scale * delta @ fit.rotation.T * (1, -1, 1)
    assert np.allclose(moved, wanted, atol=0.05)
    assert np.allclose(fit.project(model, expression=opened.expression), opened.project(model))


def test_absolute_and_relative_changes(fit):
    assert fit.with_expression(mouthSmile=0.25).coefficients()["mouthSmileRight"] == 0.25
    before = fit.coefficients()["browInnerUpLeft"]
    more = fit.with_expression({"browInnerUpLeft": 0.3}, relative=True).coefficients()
    assert more["browInnerUpLeft"] == pytest.approx(before + 0.3)
    assert more["browInnerUpRight"] == fit.coefficients()["browInnerUpRight"]
    assert fit.with_expression(jawOpen=7).coefficients()["jawOpen"] == 1
    assert fit.with_expression({"jawLeft": 0.4}).coefficients()["jawRight"] == fit.coefficients()["jawRight"]
    for name, value in (("smile", 0.5), ("jaw", 0.5), ("jawOpen", float("nan")), ("jawOpen", True)):
        with pytest.raises(UsageError):
            fit.with_expression({name: value})


def test_json_gives_it_back(model, fit):
    again = HeadFit.from_json(fit.to_json())
    assert np.allclose(again.project(model), fit.project(model), atol=0.05)
    assert again.pose == fit.pose and set(again.coefficients()) == set(model.expression_names)
    for wrong in ("[]", "{}", "no", fit.to_json().replace("head-fit-1", "head-fit-9"), '{"format": 1}'):
        with pytest.raises(InputError):
            HeadFit.from_json(wrong)
    with pytest.raises(InputError):
        HeadFit.from_json(replace(fit, missing=fit.missing[:60]).to_json())


def test_another_models_shapes_are_refused(model, fit):
    with pytest.raises(UsageError, match="another model"):
        fit.project(replace(model, expression_names=model.expression_names[::-1]))


def test_eyeballs_move_as_one_piece(model, fit):
    ball = model.regions["eyeball_left"] > 0.5
    assert np.ptp(fit.displacement(model)[ball], 0).max() < 1e-12


def test_light_of_known_harmonics_comes_back(model, fit):
    truth = np.zeros((9, 3))
    truth[0], truth[2], truth[3] = (1.6, 1.2, 1.0), 0.25, (-0.3, -0.28, -0.25)
    placed = fit.project(model)
    normals = vertex_normals(placed * (1, -1, 1), model.part("skin"))
    photo = np.zeros((360, 340, 3), np.uint8)
    colours = np.clip(harmonics(normals) @ truth * 255, 0, 255)
    order = np.argsort(placed[:, 2])
    at = np.rint(placed[order, :2]).astype(int)
    inside = ((at >= 0) & (at < (340, 360))).all(1) & (normals[order, 2] > 0)
    for dx in (0, 1, -1):
        for dy in (0, 1, -1):
            x, y = np.clip(at[inside] + (dx, dy), 0, (339, 359)).T
            photo[y, x] = colours[order][inside]
    lit = fit.with_light(model, photo).light
    directions = np.array([[0, 0, 1], [-0.5, 0, 0.87], [0.5, 0, 0.87]])
    assert np.allclose(harmonics(directions) @ lit, harmonics(directions) @ truth, atol=0.04)
    assert np.array_equal(fit.with_light(model, np.zeros((4, 4, 3), np.uint8)).light, np.zeros((9, 3)))


def test_a_fit_in_a_crop_is_the_one_in_its_photo(model, seen):
    crop = FaceCrop(np.zeros((128, 128, 3), np.uint8), seen, ffhq_quad(seen @ [[0.96, 0.28], [-0.28, 0.96]]))
    inside = fit_head(model, crop.crop_landmarks)
    assert np.abs(inside.roll - fit_head(model, seen).roll) > 5
    mapped, direct = inside.mapped(crop.to_photo), fit_head(model, seen)
    assert np.allclose(mapped.project(model)[:, :2], direct.project(model)[:, :2], atol=0.5)
    assert mapped.pose == pytest.approx(direct.pose, abs=0.2)
    assert np.abs(mapped.landmarks(model) - seen).max() < 0.02
    mirror = np.diag([-1.0, 1.0, 1.0])
    for wrong in (mirror, np.zeros((3, 3))):
        with pytest.raises(UsageError, match="turned, scaled and shifted"):
            inside.mapped(wrong)
