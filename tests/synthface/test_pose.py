"""Head, shoulders and eyes in the pose of a scene."""

from __future__ import annotations

import dataclasses

import numpy as np

from latentface.synthface.camera import rotation
from latentface.synthface.pose import Pose, eyeballs, lid_shapes, shape
from latentface.synthface.scene import sample_scene
from tests.helpers.tiny_head import tiny_head


def test_shoulders_follow_a_share_of_the_turn() -> None:
    pose = Pose(rotation(40, 0, 0), rotation(16, 0, 0))
    points = np.array([[0, 5, 8], [0, -18, 8]], np.float32)
    moved = pose.apply(points, points)
    np.testing.assert_allclose(moved[0], pose.head @ points[0], atol=1e-5)
    np.testing.assert_allclose(moved[1], pose.body @ points[1], atol=1e-5)


def test_gaze_turns_the_eyes_and_lowers_the_lids() -> None:
    head = tiny_head()
    eyes = eyeballs(head)
    assert [eye.side for eye in eyes] == [1, -1]
    scene = sample_scene(0, {"skin": 1, "hair": 0, "brow": 0, "lash": 0}, 3)
    scene = dataclasses.replace(scene, identity=np.zeros(3, np.float32), expression={}, gaze=(20.0, 0.0))
    iris = np.unique(head.triangles_of("M_IrisLeft"))
    assert shape(head, eyes, scene)[iris, 0].max() > head.vertices[iris, 0].max() + 0.1
    assert lid_shapes(0, 15) == {"eyeLookOut_R": 0.0, "eyeLookIn_L": 0.0, "eyeLookDown_L": 0.5, "eyeLookDown_R": 0.5}
