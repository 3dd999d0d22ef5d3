"""Face geometry: the FFHQ square against its definition, and the crop <-> photo map."""

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.faces.crop import (
    MIRROR,
    FaceCrop,
    ffhq_quad,
    frontality,
    inter_ocular,
    map_points,
    near_features,
    quad_to_matrix,
)
from tests.helpers.cli_desk import face_points


def landmarks(eye_left=(40.0, 50.0), eye_right=(80.0, 50.0), mouth=((45.0, 90.0), (75.0, 90.0))):
    points = np.zeros((68, 2))
    points[36:42] = np.array(eye_left) + np.array([[-6, 0], [-2, -2], [2, -2], [6, 0], [2, 2], [-2, 2]])
    points[42:48] = np.array(eye_right) + np.array([[-6, 0], [-2, -2], [2, -2], [6, 0], [2, 2], [-2, 2]])
    points[48], points[54] = mouth
    return points


def test_quad_of_an_upright_face():
    # |E| = 40, |M| = 40: half side 80, centre 4 px below the eyes
    expected = [[-20, -26], [-20, 134], [140, 134], [140, -26]]
    np.testing.assert_allclose(ffhq_quad(landmarks()), expected, atol=1e-12)


def test_a_long_face_sets_the_size_by_its_height():
    quad = ffhq_quad(landmarks(mouth=((45.0, 110.0), (75.0, 110.0))))
    assert np.linalg.norm(quad[3] - quad[0]) == pytest.approx(2 * 1.8 * 60)


@pytest.mark.parametrize("angle", [-2.5, -0.4, 0.3, 1.7])
def test_quad_follows_turning_scaling_and_shifting(angle):
    turn = 1.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([13.0, -40.0])
    points = landmarks() + np.random.default_rng(0).normal(0, 2, (68, 2))
    moved = ffhq_quad(points @ turn.T + shift)
    np.testing.assert_allclose(moved, ffhq_quad(points) @ turn.T + shift, atol=1e-9)


def test_quad_is_a_square():
    quad = ffhq_quad(landmarks() + np.random.default_rng(1).normal(0, 3, (68, 2)))
    sides = np.roll(quad, -1, axis=0) - quad
    lengths = np.linalg.norm(sides, axis=1)
    np.testing.assert_allclose(lengths, lengths[0])
    np.testing.assert_allclose((sides * np.roll(sides, -1, axis=0)).sum(1), 0, atol=1e-9)


@pytest.mark.parametrize("bad", [np.zeros((68, 2)), np.full((68, 2), np.nan), np.zeros((5, 2)), np.zeros((68, 3))])
def test_quad_refuses_what_is_no_face(bad):
    with pytest.raises(UsageError, match="landmarks"):
        ffhq_quad(bad)


def test_inter_ocular_is_between_eye_centres():
    assert inter_ocular(landmarks()) == pytest.approx(40.0)
    with pytest.raises(UsageError, match=r"\(68, 2\)"):
        inter_ocular(np.zeros((51, 2)))


def test_map_puts_pixel_centres_half_a_pixel_inside_the_edges():
    quad = np.array([[-0.5, -0.5], [-0.5, 7.5], [7.5, 7.5], [7.5, -0.5]])  # the whole of an 8 x 8 photo
    np.testing.assert_allclose(quad_to_matrix(quad, 8), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(map_points(quad_to_matrix(quad, 4), [[0, 0], [3, 3]]), [[0.5, 0.5], [6.5, 6.5]])


def test_crop_maps_are_inverse_and_carry_landmarks():
    points = landmarks() + np.random.default_rng(2).normal(0, 1, (68, 2))
    quad = ffhq_quad(points)
    crop = FaceCrop(image=np.zeros((64, 64, 3), np.uint8), landmarks=points, quad=quad, score=0.5)
    assert crop.size == 64
    np.testing.assert_allclose(crop.to_photo @ crop.from_photo, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(map_points(crop.to_photo, crop.crop_landmarks), points, atol=1e-9)
    np.testing.assert_allclose(map_points(crop.to_photo, [[-0.5, -0.5], [63.5, 63.5]]), quad[[0, 2]], atol=1e-9)


def test_mirror_exchanges_left_and_right():
    assert sorted(MIRROR) == list(range(68))
    assert [MIRROR[MIRROR[i]] for i in range(68)] == list(range(68))
    assert (MIRROR[36], MIRROR[37], MIRROR[41], MIRROR[48], MIRROR[60], MIRROR[17], MIRROR[0]) == (
        45, 44, 46, 54, 64, 26, 16,
    )  # fmt: skip
    assert all(MIRROR[i] == i for i in (8, 27, 28, 29, 30, 33, 51, 57, 62, 66))


def test_values_are_frozen():
    crop = FaceCrop(np.zeros((4, 4, 3), np.uint8), landmarks(), ffhq_quad(landmarks()))
    with pytest.raises(AttributeError):
        crop.score = 2.0


def test_near_features_is_one_at_eyes_and_mouth_and_grows_with_the_picture():
    near = near_features(landmarks(), 128)
    assert near.shape == (128, 128) and near.dtype == np.float32
    assert near[50, 34] == 1 and near[90, 45] == 1  # an eye's corner, a corner of the mouth
    assert near[50, 34 - 6] == pytest.approx(np.exp(-0.5), abs=0.01)  # reach: 3/64 of the side
    assert near[120, 120] < 1e-3
    np.testing.assert_allclose(near_features(2 * landmarks(), 256)[::2, ::2], near, atol=1e-6)
    with pytest.raises(UsageError, match=r"\(68, 2\)"):
        near_features(landmarks()[:5], 128)


def test_frontality_falls_with_the_turn_of_the_head() -> None:
    points = face_points()
    values = []
    for shift in (0.0, 0.1, 0.2, 0.4):
        turned = points.copy()
        turned[27:36, 0] += shift
        values.append(frontality(turned))
    assert values[0] == pytest.approx(1, abs=0.02)
    assert values == sorted(values, reverse=True) and values[-1] < 0.1
