"""Eyes are found where the photo shows them, not where landmarks have them."""

from dataclasses import replace

import numpy as np
import pytest

from latentface.head.eye_contour import are_shut, find_eyes, mesh_eye
from tests.helpers.head_picture import model, picture, place


@pytest.mark.parametrize("off", [(0, 0), (2, 1), (-2, 1.5), (1, -2)])
def test_iris_corners_and_margins_are_found(off):
    scene = picture()
    before = scene.before + np.array([*off, 0], np.float32)
    found = find_eyes(scene.photo, mesh_eye(model(), before, "left"), mesh_eye(model(), before, "right"))
    for eye, side, layer in zip(found, ("left", "right"), (2, 3), strict=True):
        ball = (model().regions[f"eyeball_{side}"] > 0.5) & (model().neutral[:, 2] > 9.35)
        true = scene.before[ball, :2].mean(axis=0)
        place_of_iris = eye.places(eye.iris[0], eye.iris[1])
        assert np.linalg.norm(place_of_iris - true) < 1.8
        assert abs(eye.iris[2] * eye.unit - 5.2) < 1.0
        y, x = np.nonzero(scene.layer == layer)
        corners = eye.places(*eye.corners.T)
        ends = np.sort(corners[:, 0])
        assert -2.5 < x.min() - ends[0] < 6.5 and -2.5 < ends[1] - x.max() < 6.5  # the lashes reach 2 pixels further
        u, v = eye.frame(np.stack([x, y], axis=1))
        upper, lower = eye.margins(u)
        assert ((v < upper + 0.02) & (v > lower - 0.02)).mean() > 0.85  # the opening lies between the margins


def test_frames_are_their_own_inverse():
    eye = mesh_eye(model(), place(roll=20), "right")
    places = np.random.default_rng(0).uniform(0, 300, (20, 2))
    assert np.allclose(eye.places(*eye.frame(places)), places)
    assert np.allclose(eye.along(eye.across(np.array([0.0, 0.3, 1.0]))), [0, 0.3, 1])
    outer, inner = eye.places(*eye.corners.T)
    assert np.allclose(outer, place(roll=20)[model().landmarks[36], :2], atol=1e-3)
    assert np.allclose(inner, place(roll=20)[model().landmarks[39], :2], atol=1e-3)


def test_eyes_without_iris_between_flat_lids_are_shut():
    scene = picture()
    starts = [mesh_eye(model(), scene.before, side) for side in ("left", "right")]
    assert not are_shut(scene.photo, find_eyes(scene.photo, *starts))
    shut = scene.photo.copy()
    for eye in starts:
        u, v = eye.frame(np.stack(np.meshgrid(np.arange(shut.shape[1]), np.arange(shut.shape[0])), axis=-1))
        upper, lower = eye.margins(u)
        inside = (v < upper + 0.05) & (v > lower - 0.05)
        skin = np.median(shut[(v < lower - 0.08) & (v > lower - 0.16) & (np.abs(u) < 0.1)], axis=0)
        shut[inside] = skin
        shut[inside & (np.abs(v - lower) < 0.012)] = 0.3 * skin
    flat = (
        replace(eye, upper=np.array([0.02, 0.0]), lower=np.array([0.04, 0.0])) for eye in starts
    )  # as landmarks say
    assert are_shut(shut, find_eyes(shut, *flat))
