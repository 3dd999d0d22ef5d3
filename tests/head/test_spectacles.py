"""Spectacles are found, and stay whole."""

import numpy as np

from latentface.head.spectacles import hold
from tests.helpers.head_picture import frames, model, picture, place


def test_spectacles_are_found_where_they_are_and_only_there():
    assert picture().driver().spectacles is None
    assert picture(grey=True).driver().spectacles is None
    scene = picture(spectacles=True)
    found = scene.driver().spectacles
    mask = np.zeros(scene.photo.shape[:2], bool)
    mask[found.box.slices] = found.distance < 1
    true = frames(scene.before)
    assert (mask & true).sum() > 0.75 * true.sum()


def test_frames_stay_where_brows_rise_and_lids_close():
    scene = picture(spectacles=True)
    driven = scene.driver().drive(place({"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeBlink": 0.7})).photo
    true = frames(scene.before)
    still = driven[true].mean(axis=1) < 70
    assert still.mean() > 0.95
    bare = picture().driver().drive(place({"browInnerUp": 1.0, "browOuterUp": 1.0})).photo
    brow = np.rint(place({"browInnerUp": 1.0, "browOuterUp": 1.0})[model().landmarks[19], :2]).astype(int)
    assert bare[brow[1], brow[0]].mean() < 110  # without them the brows rise all the way


def test_skin_beside_frames_moves_further_the_further_it_is_asked_to_but_never_folds():
    scene = picture(spectacles=True)
    found = scene.driver().spectacles
    box, unit, moved = found.box, scene.driver().scene.unit, []
    for asked in (0.03, 0.08, 0.2):
        shift = np.zeros((box.height, box.width, 2), np.float32)
        shift[..., 1] = asked * unit
        hold(found, scene.driver().scene, scene.before, shift, box)
        assert np.abs(np.diff(shift[..., 1], axis=0)).max() < 0.5
        assert np.abs(shift[found.distance < 1]).max() < 0.1
        moved.append(shift[..., 1])
    assert (moved[1] >= moved[0] - 1e-3).all() and (moved[2] >= moved[1] - 1e-3).all()
    beside = (found.distance > 0.14 * unit) & (found.distance < 0.16 * unit)
    assert moved[1][beside].mean() > 0.035 * unit


def test_frames_turn_with_the_head():
    scene, after = picture(spectacles=True), place(roll=8)
    driven = scene.driver().drive(after).photo
    angle = np.radians(8)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])  # y goes down
    y, x = np.nonzero(frames(scene.before))
    middle = np.array([150.0, 165.0])
    there = np.rint((np.stack([x, y], axis=1) - middle) @ turn.T + middle).astype(int)
    assert (driven[there[:, 1], there[:, 0]].mean(axis=1) < 100).mean() > 0.8


def test_skin_never_takes_the_colour_of_frames():
    scene = picture(spectacles=True)
    after = place({"browInnerUp": 1.2, "browOuterUp": 1.2, "eyeWide": 1.2})
    driver = scene.driver()
    driven = driver.drive(after).photo
    found = driver.spectacles
    away = np.full(scene.photo.shape[:2], np.inf)
    away[found.box.slices] = found.distance
    over = (away > 6) & (away < 25)
    bare = picture().driver().drive(after).photo
    darker = (driven[over].mean(axis=1) < 32) & (bare[over].mean(axis=1) > 90)
    assert darker.mean() < 0.01
