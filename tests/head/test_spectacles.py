"""Spectacles are found, and stay whole."""

import numpy as np

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
