"""The pose of a head by its landmarks: found again whatever the place and size, and compared."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.faces.head_pose import MEAN_FACE, head_pose
from latentface.synthface.camera import rotation


def landmarks(yaw: float, pitch: float, roll: float, scale: float = 7.0) -> np.ndarray:
    """The mean face turned by degrees and seen from far away, in pixels."""
    points = np.zeros((68, 2))
    face = np.array(list(MEAN_FACE.values()))
    turned = (face - face.mean(0)) @ rotation(yaw, pitch, roll).T
    points[list(MEAN_FACE)] = turned[:, :2] * (scale, -scale) + (200, 100)
    return points


@pytest.mark.parametrize("angles", [(20, 0, 0), (0, 15, 0), (0, 0, 10), (-25, 8, -12), (0, 0, 0), (60, -20, 30)])
@pytest.mark.parametrize("scale", [0.5, 7.0, 90.0])
def test_a_head_s_pose_is_found(angles: tuple[float, float, float], scale: float) -> None:
    found = head_pose(landmarks(*angles, scale))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx(angles, abs=1e-3)


def test_axes_are_centimetres_of_the_head_in_pixels() -> None:
    frontal = head_pose(landmarks(0, 0, 0, 5.0))
    assert frontal.axes == pytest.approx(np.array([[5.0, 0], [0, -5.0], [0, 0]]), abs=1e-6)  # left, up, front
    turned = head_pose(landmarks(90 - 1e-6, 0, 0, 5.0))
    assert turned.axes[2] == pytest.approx([5.0, 0], abs=1e-3)  # what was the front now points to the side


def test_expressions_do_not_count() -> None:
    points = landmarks(12, -5, 3)
    moved = points.copy()
    for index in set(range(68)) - set(MEAN_FACE):
        moved[index] += (30, -40)
    assert head_pose(moved).differs(head_pose(points)) == 0


def test_poses_differ_by_their_largest_angle() -> None:
    first, second = head_pose(landmarks(10, 0, 0)), head_pose(landmarks(4, 2, -1))
    assert first.differs(second) == pytest.approx(6, abs=1e-3) == second.differs(first)


def test_points_without_a_spread_have_no_pose() -> None:
    with pytest.raises(UsageError, match="all landmarks coincide"):
        head_pose(np.zeros((68, 2)))
