"""Lids close and open, irises turn."""

from dataclasses import replace

import numpy as np
import pytest

from latentface.head.eye_contour import mesh_eye
from latentface.head.eyes import BLINK, follow
from tests.helpers.head_picture import model, picture, place


def eye_pixels(photo: np.ndarray, scene, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of white and of dark pixels around an eye."""
    middle = scene.landmark([42, 45] if side == "left" else [36, 39]).mean(axis=0)
    y, x = np.mgrid[0 : photo.shape[0], 0 : photo.shape[1]]
    near = (np.abs(x - middle[0]) < 15) & (np.abs(y - middle[1]) < 10)
    light = photo.mean(axis=2)
    return near & (photo[..., 2] > 160), near & (light < 80)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_blink_shuts_the_eye(side):
    scene = picture()
    driven = scene.driver().drive(place({f"eyeBlink{side.title()}": 1.0})).photo
    before, after = eye_pixels(scene.photo, scene, side), eye_pixels(driven, scene, side)
    assert before[0].sum() > 60
    assert after[0].sum() <= 0.04 * before[0].sum()  # no white
    assert 0.05 * before[1].sum() < after[1].sum() < 0.8 * before[1].sum()  # lashes
    assert np.nonzero(after[1])[0].mean() > np.nonzero(before[1])[0].mean()  # below


def test_lids_close_by_and_by():
    scene, driver = picture(), picture().driver()
    whites = [eye_pixels(driver.drive(place({"eyeBlink": b})).photo, scene, "left")[0].sum() for b in (0, 0.3, 0.6, 1)]
    assert whites == sorted(whites, reverse=True) and whites[0] > whites[1] > whites[3]


def test_wide_eyes_show_more():
    scene = picture()
    driven = scene.driver().drive(place({"eyeWide": 1.0})).photo
    before, after = (sum(m.sum() for m in eye_pixels(p, scene, "left")) for p in (scene.photo, driven))
    assert before < after < 1.6 * before


@pytest.mark.parametrize(
    ("shapes", "axis", "sign"),
    [
        ({"eyeLookOutLeft": 0.6, "eyeLookInRight": 0.6}, 0, 1), ({"eyeLookInLeft": 0.6, "eyeLookOutRight": 0.6}, 0, -1),
    ],
)  # fmt: skip
def test_the_iris_turns_within_the_white(shapes, axis, sign):
    scene = picture()
    driven = scene.driver().drive(place(shapes)).photo
    for side in ("left", "right"):
        ball = (model().regions[f"eyeball_{side}"] > 0.5) & (model().neutral[:, 2] > 9.35)
        wanted = (place(shapes)[ball] - scene.before[ball]).mean(axis=0)[axis]
        y, x = np.mgrid[0 : driven.shape[0], 0 : driven.shape[1]]
        moved = []
        for photo in (scene.photo, driven):
            dark = eye_pixels(photo, scene, side)[1] & (y > scene.landmark(40)[1] - 3)
            moved.append((x if axis == 0 else y)[dark].mean())
        change = moved[1] - moved[0]
        assert np.sign(change) == sign and 0.3 * abs(wanted) < abs(change) < 1.4 * abs(wanted)
        if axis == 0:
            assert eye_pixels(driven, scene, side)[0].sum() > 0.6 * eye_pixels(scene.photo, scene, side)[0].sum()


def test_an_eye_follows_the_mesh():
    eye = mesh_eye(model(), place(), "left")
    still = follow(eye, eye, eye)
    assert np.allclose(still.upper, eye.upper) and np.allclose(still.corners, eye.corners)
    shut = follow(eye, eye, mesh_eye(model(), place({"eyeBlinkLeft": 1.0}), "left"))
    upper, lower = shut.margins(shut.across(np.linspace(0.1, 0.9, 9)))
    assert np.abs(upper - lower).max() < 0.01


def test_wide_eyes_shut_as_well():
    eye = mesh_eye(model(), place(), "left")
    wide = replace(eye, upper=eye.upper + np.array([0.1, 0]))
    half, shut = (replace(wide, upper=wide.upper - np.array([1.5 * BLINK * way, 0])) for way in (0.5, 1.0))
    gaps = [float(np.subtract(*each.margins(each.across(np.array(0.5))))) for each in (wide, half, shut)]
    assert gaps[2] > 0.02, "the mesh stays ajar"
    found = [follow(wide, wide, now) for now in (half, shut)]
    now = [float(np.subtract(*each.margins(each.across(np.array(0.5))))) for each in found]
    assert abs(now[1]) < 0.01 and 0.35 * gaps[0] < now[0] < 0.6 * gaps[0]
