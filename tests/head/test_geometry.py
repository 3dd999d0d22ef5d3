"""Boxes, and what of a head hides what."""

import numpy as np

from latentface.head.geometry import Box, Surface, brightness, eye_distance, ramp
from latentface.ops.raster import normals
from tests.helpers.head_picture import HEIGHT, SCALE, WIDTH, model, picture, place


def test_boxes_keep_to_the_photo():
    assert Box.around([[3.2, 4.0], [8.9, 6.0]], 1, 100, 100) == Box(2, 3, 11, 8)
    assert Box.around([[-5, -5], [400, 90]], 2, 50, 60) == Box(0, 0, 60, 50)
    assert Box.around([[-20, 3], [-10, 5]], 1, 50, 60).width == 0


def test_places_are_pixels_and_their_samples():
    box = Box(4, 7, 6, 10)
    assert box.places().shape == (3, 2, 2) and box.places()[2, 1].tolist() == [5, 9]
    fine = box.places(3)
    assert fine.shape == (9, 6, 2)
    assert np.allclose(fine.reshape(3, 3, 2, 3, 2).mean(axis=(1, 3)), box.places(), atol=1e-5)


def test_boxes_share_and_read():
    a, b = Box(0, 0, 5, 5), Box(3, 2, 9, 4)
    mine, its = a.shared(b)
    assert mine == (slice(2, 4), slice(3, 5)) and its == (slice(0, 2), slice(0, 2))
    apart, _ = a.shared(Box(7, 7, 9, 9))
    assert np.zeros((5, 5))[apart].size == 0
    values = np.arange(12).reshape(2, 6)
    assert b.read(values, [[3.4, 2.2], [8, 3], [9, 3]], -1).tolist() == [0, 11, -1]


def test_skin_hides_what_lies_behind_it():
    layer = picture(teeth=True).layer
    counts = [int((layer == k).sum()) for k in range(4)]
    assert counts[0] > 20_000 and min(counts[1:]) > 60
    x = np.nonzero(layer == 2)[1].mean(), np.nonzero(layer == 3)[1].mean()
    assert x[0] > WIDTH / 2 > x[1]  # the subject's left is the viewer's right
    closed = place({"jawOpen": 0.4, "mouthClose": 0.4})
    surface = Surface.of(model())
    shut = surface.layers(surface.seen(closed, Box(0, 0, WIDTH, HEIGHT)))
    assert (shut == 1).sum() < 0.6 * counts[1]


def test_normals_face_the_viewer_in_front():
    before = place()
    found = normals(before, Surface.of(model()).skin)
    tip, side = model().landmarks[30], model().landmarks[2]
    assert found[tip, 2] > 0.7 and found[side, 0] < -0.7  # the subject's right side looks to the left
    assert np.allclose(np.linalg.norm(found[model().landmarks], axis=1), 1, atol=1e-4)


def test_the_unit_is_the_distance_of_the_eyes():
    assert abs(eye_distance(model(), place()) / SCALE - 6.3) < 0.3
    assert abs(eye_distance(model(), place(roll=30)) / eye_distance(model(), place()) - 1) < 1e-3


def test_ramp_is_a_smooth_step():
    assert ramp([-1.0, 0.0, 0.5, 1.0, 2.0], 0, 1).tolist() == [0, 0, 0.5, 1, 1]


def test_brightness_is_the_mean_of_the_channels():
    photo = picture().photo
    for each in (photo, photo.astype(np.float32) / 7):
        assert np.array_equal(brightness(each), each.mean(axis=2)) and brightness(each).dtype == each.mean(axis=2).dtype


def test_an_index_is_a_box_and_a_box_an_index():
    box = Box(2, 3, 11, 8)
    assert Box.of(box.slices) == box
