"""A photo that is driven by a head: what must change does, and nothing else."""

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.head.drive import drive
from latentface.head.field import Field
from latentface.head.geometry import Surface
from latentface.ops import native
from tests.helpers.head_picture import OPEN, model, picture, place, psnr


def test_no_change_gives_the_photo_back():
    scene = picture()
    driven = drive(scene.photo, model(), scene.before, scene.before)
    assert np.array_equal(driven.photo, scene.photo) and driven.photo is not scene.photo
    assert driven.box is None and driven.opening is None


@pytest.mark.parametrize("teeth", [False, True])
def test_hardly_any_change_is_hardly_seen(teeth):
    scene = picture(teeth=teeth)
    nearly = scene.before + np.float32(0.03) * np.sin(np.arange(len(scene.before)))[:, None].astype(np.float32) * 0.1
    nearly[:, 0] += np.float32(0.03)
    driven = drive(scene.photo, model(), scene.before, nearly)
    assert driven.box is not None and psnr(driven.photo, scene.photo) > 50


def test_outside_its_box_every_pixel_is_the_photos():
    scene = picture()
    driven = scene.driver().drive(place({"eyeBlinkLeft": 1.0}))
    outside = np.ones(scene.photo.shape[:2], bool)
    outside[driven.box.slices] = False
    assert np.array_equal(driven.photo[outside], scene.photo[outside])


def test_a_wink_leaves_the_other_eye_and_the_mouth():
    scene = picture()
    driven = scene.driver().drive(place({"eyeBlinkLeft": 1.0}))
    y, x = np.nonzero(scene.layer == 3)
    assert np.array_equal(driven.photo[y, x], scene.photo[y, x])
    mouth = np.rint(scene.landmark(66)).astype(int)
    around = (slice(mouth[1] - 12, mouth[1] + 12), slice(mouth[0] - 25, mouth[0] + 25))
    assert np.abs(driven.photo[around].astype(int) - scene.photo[around]).max() <= 4
    assert np.abs(driven.photo.astype(int) - scene.photo)[scene.layer == 2].max() > 80


def test_a_jaw_that_falls_opens_the_mouth():
    scene = picture()
    driven = scene.driver().drive(place({"jawOpen": 0.6}))
    opening = driven.opening
    assert opening.shape.sum() > 200 and opening.teeth is None
    middle = np.rint((place({"jawOpen": 0.6})[model().landmarks[[62, 66]], :2]).mean(axis=0)).astype(int)
    assert driven.photo[middle[1], middle[0]].mean() < 130  # not skin any more
    chin = np.rint(place({"jawOpen": 0.6})[model().landmarks[57], :2]).astype(int)
    assert driven.photo[chin[1] - 2, chin[0], 0] > driven.photo[chin[1] - 2, chin[0], 1] + 40  # the lip went down


def test_closed_lips_stay_closed_without_a_reason():
    scene = picture()
    driven = scene.driver().drive(place({"browInnerUp": 1.0, "cheekPuff": 0.2}))
    mouth = np.rint(scene.landmark(66)).astype(int)
    around = (slice(mouth[1] - 4, mouth[1] + 5), slice(mouth[0] - 12, mouth[0] + 13))
    assert np.abs(driven.photo[around].astype(int) - scene.photo[around]).mean() < 12


def test_the_painter_paints_the_opening_and_nothing_else():
    scene, seen = picture(), []

    def green(opening, filling):
        seen.append((opening, filling))
        return np.broadcast_to(np.array([0, 255, 0], np.float32), filling.shape)

    after = place({"jawOpen": 0.6})
    driver = scene.driver()
    plain, painted = driver.drive(after).photo, driver.drive(after, green).photo
    (opening, filling), = seen  # fmt: skip
    assert filling.shape == (opening.box.height, opening.box.width, 3) == opening.own.shape
    assert (painted == [0, 255, 0]).all(axis=2).sum() > 150
    changed = (plain != painted).any(axis=2)
    outside = np.ones_like(changed)
    outside[opening.box.slices] = False
    assert not changed[outside].any()


def test_teeth_of_the_photo_are_kept_and_stay_with_the_skull():
    scene = picture(teeth=True)
    driver = scene.driver()
    assert driver.shown.mask.sum() > 100 and np.abs(driver.shown.teeth - [232, 226, 214]).max() < 25
    after = place({**OPEN, "jawOpen": 0.5})
    driven = driver.drive(after)
    box = driver.shown.box
    y, x = np.nonzero(driver.shown.mask)
    low = y > np.quantile(y, 0.5)  # of these none is covered by a lip afterwards
    y, x = y[low] + box.top, x[low] + box.left
    still = np.abs(driven.photo[y, x].astype(int) - scene.photo[y, x]).max(axis=1) < 12
    assert still.mean() > 0.85


def test_a_grey_photo_stays_grey():
    scene = picture(grey=True)
    driven = scene.driver().drive(place({"jawOpen": 0.7, "mouthSmile": 0.5}))
    assert (driven.photo == driven.photo[..., :1]).all() and driven.opening is not None


def test_a_driver_does_the_same_again_and_again():
    scene = picture()
    driver, after = scene.driver(), place({"jawOpen": 0.3, "eyeBlinkRight": 0.6}, yaw=5)
    first = driver.drive(after).photo
    driver.drive(place({"mouthPucker": 1.0}))
    assert np.array_equal(first, driver.drive(after).photo)
    assert np.array_equal(first, scene.driver().drive(after).photo)


def test_without_a_compiler_it_is_the_same_picture():
    scene, after = picture(), place({"jawOpen": 0.4, "eyeBlink": 0.5}, yaw=6)
    seen = []
    for choice in ("native", "reference"):
        with native.chosen(choice):
            seen.append(drive(scene.photo, model(), scene.before, after).photo)
    assert np.array_equal(*seen)


def test_a_head_at_the_edge_of_the_photo():
    scene = picture()
    photo = scene.photo[100:260, :170]  # half a face
    move = np.array([0, -100, 0], np.float32)
    driven = drive(photo, model(), scene.before + move, place({"jawOpen": 0.5, "eyeBlink": 0.8}) + move)
    assert driven.photo.shape == photo.shape and not np.array_equal(driven.photo, photo)
    beyond = drive(photo, model(), scene.before + 2000, place({"jawOpen": 0.5}) + np.float32(2000))
    assert np.array_equal(beyond.photo, photo)


def test_wrong_input_is_refused():
    scene = picture()
    with pytest.raises(UsageError, match=r"photo is float64 \[380, 300, 3\]: expected uint8 RGB"):
        drive(scene.photo / 255.0, model(), scene.before, scene.before)
    with pytest.raises(UsageError, match=r"vertices have shape \[68, 3\]"):
        drive(scene.photo, model(), scene.before[:68], scene.before)
    with pytest.raises(UsageError, match=r"vertices have shape \[68, 3\]"):
        drive(scene.photo, model(), scene.before, scene.before[:68])


def test_the_edge_of_skin_over_skin_has_no_steps(monkeypatch):
    edge = {"mouthFrown": 1.25, "mouthStretch": 1.25, "mouthLowerDown": 1.25}
    soft = drive(picture().photo, model(), place(), place(edge))
    monkeypatch.setattr(Field, "overlaps", lambda field, surface: np.zeros(field.layer.shape, bool))
    hard = drive(picture().photo, model(), place(), place(edge))
    overlaps = np.zeros(hard.photo.shape[:2], bool)
    monkeypatch.undo()
    overlaps[soft.box.slices] = soft.field.overlaps(Surface.of(model()))
    changed = (soft.photo != hard.photo).any(axis=2)
    assert changed.sum() > 10 and not (changed & ~overlaps).any()
    steps = [
        np.abs(np.diff(one.photo.astype(int), axis=0))[overlaps[1:] & overlaps[:-1]].mean() for one in (soft, hard)
    ]
    assert steps[0] < 0.8 * steps[1]
