"""The camera that looks through the face crop, and the signs of its angles."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.faces.crop import ffhq_quad
from latentface.synthface.camera import crop_camera, rotation
from tests.helpers.tiny_head import tiny_head


@pytest.mark.parametrize("distance", [45.0, 200.0])
def test_the_crop_camera_sees_exactly_the_ffhq_crop(distance: float) -> None:
    head = tiny_head()
    points = head.vertices[head.landmarks68] @ rotation(20, -8, 11).T
    camera = crop_camera(points, distance)
    quad = ffhq_quad(camera.pixels(points, 100))
    np.testing.assert_allclose(quad, [[-0.5, -0.5], [-0.5, 99.5], [99.5, 99.5], [99.5, -0.5]], atol=1e-2)


def test_rotation_turns_the_way_it_says() -> None:
    nose = np.array([0, 0, 1.0])
    assert (rotation(30, 0, 0) @ nose)[0] == pytest.approx(0.5)  # to its left, which is +x
    assert (rotation(0, 30, 0) @ nose)[1] == pytest.approx(-0.5)  # down
    assert (rotation(0, 0, 30) @ np.array([0, 1.0, 0]))[0] == pytest.approx(0.5)  # crown to its left
    turn = rotation(12, 34, 56)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
