"""Spectacles are found, and stay whole."""

from dataclasses import replace

import numpy as np
import pytest

from latentface import hub
from latentface.head import observed
from latentface.head.drive import Driver
from latentface.head.eyeball import EyeWhite
from latentface.head.field import find_field
from latentface.head.spectacles import _are_spectacles, find_spectacles, hold, patch_places
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


def test_frames_turn_in_the_plane_of_the_eyes_and_hold_no_mouth_back():
    scene = picture(spectacles=True).driver()
    after = place(yaw=18)
    field = find_field(scene.scene, after)
    held = field.shift.copy()
    hold(scene.spectacles, scene.scene, after, held, field.box)
    away = np.linalg.norm(held - field.shift, axis=2)
    eyes, lips = (np.rint(after[model().landmarks[part], :2]).astype(int) for part in (slice(36, 48), slice(48, 60)))
    corner = [field.box.left, field.box.top]
    assert away[tuple((eyes - corner).T[::-1])].max() < 0.02 * scene.scene.unit
    assert away[tuple((lips - corner).T[::-1])].max() < 0.5


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


def test_a_drawn_brow_alone_is_no_frame():
    config = hub.finders().spectacles.config
    u, v = patch_places(np.array([0.5, 0.0]), np.array([-0.5, 0.0]), config).transpose(2, 0, 1)
    brows = (np.abs(v + 0.22) < 0.03) & (np.abs(np.abs(u) - 0.5) < 0.25)  # rows go down
    rims = np.abs(np.hypot(np.abs(u) - 0.5, v) - 0.3) < 0.03
    assert brows.mean() > 0.006 and not _are_spectacles(brows, config, sure=False)
    assert _are_spectacles(rims, config, sure=False)
    assert _are_spectacles(brows, config, sure=True), "if spectacles are worn, these are parts of them"


def test_frames_that_fade_in_one_frame_of_a_film_are_remembered_where_the_head_has_gone():
    scene, step = picture(spectacles=True), np.array([4, 3])
    known = scene.driver().spectacles
    moved = np.roll(scene.photo, step[::-1], axis=(0, 1))
    bare = np.roll(picture().photo, step[::-1], axis=(0, 1))
    driver = Driver(bare, model(), scene.before + np.append(step, 0).astype(np.float32))
    network = hub.finders().spectacles

    def logits(photo, before):
        found = find_spectacles(photo, driver.scene, driver.eyes, network, True, before)
        return None if found is None else found.glimpse.logits

    assert logits(bare, None) is None
    kept, seen = logits(bare, known.glimpse), logits(moved, None)
    assert kept is not None and ((kept > -1) & (seen > 0)).sum() > 0.6 * (seen > 0).sum()


def test_shut_eyes_of_a_film_are_not_searched_and_go_with_the_head():
    scene, step = picture(), np.array([5.0, -3.0, 0.0], np.float32)
    first = scene.driver()
    blank = np.full_like(scene.photo, 120)  # nothing to be found in it
    shut = Driver(blank, model(), scene.before + step, steady=replace(first.steady, shut=True))
    for eye, was in zip(shut.eyes, first.eyes, strict=True):
        assert eye.iris == pytest.approx(was.iris, abs=1e-3)
        assert eye.places(*eye.iris[:2]) == pytest.approx(was.places(*was.iris[:2]) + step[:2], abs=0.1)
    assert shut._blinks(place({"eyeWide": 1.0})) == [] != first._blinks(place({"eyeWide": 1.0}))


def test_what_is_seen_in_dark_glasses_keeps_its_shape():
    scene = picture(spectacles=True)
    assert not scene.driver().has_dark_glasses
    y, x = np.mgrid[0 : scene.photo.shape[0], 0 : scene.photo.shape[1]]
    middles = [scene.landmark([36, 39]).mean(axis=0), scene.landmark([42, 45]).mean(axis=0)]
    lenses = np.min([np.hypot((x - middle[0]) / 1.1, y - middle[1]) for middle in middles], axis=0) < 17
    dark = replace(scene, photo=np.where(lenses[..., None], scene.photo // 5, scene.photo))
    driver = dark.driver()
    assert driver.has_dark_glasses
    after = place({"eyeBlink": 1.0, "jawOpen": 0.5})
    before, driven = (photo[lenses].astype(float) for photo in (dark.photo, driver.drive(after).photo))
    assert np.abs(driven - before).mean() < 2
    bare = scene.driver().drive(after).photo[lenses].astype(float)
    assert np.abs(bare - scene.photo[lenses]).mean() > 10, "lids close behind clear glass"


def test_narrow_eyes_get_their_white_behind_clear_glass_alone(monkeypatch):
    monkeypatch.setattr(observed, "find_eye_white", lambda *known: EyeWhite(np.zeros(3, np.float32), 1.0))
    scene = picture(spectacles=True)
    assert [white.missing for white in scene.driver().eye_whites] == [1, 1]
    x = np.arange(scene.photo.shape[1])
    beside = (x > scene.landmark([27])[0, 0])[:, None]
    below = np.arange(scene.photo.shape[0])[:, None, None] < scene.landmark([29])[0, 1]
    one = replace(scene, photo=np.where(beside & below, scene.photo // 2, scene.photo)).driver()
    assert not one.has_dark_glasses and [white.missing for white in one.eye_whites] == [0, 0]
