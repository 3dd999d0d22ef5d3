"""A camera that renders the aligned face crop: a perspective projection, then the crop's similarity transform."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentface.arrays import Float32Array
from latentface.faces.crop import ffhq_quad


@dataclass(frozen=True, eq=False)
class CropCamera:
    """``position`` [3] in the world and ``project`` 4x4, world -> clip space of the aligned crop."""

    position: Float32Array
    project: Float32Array

    def pixels(self, points: Float32Array, size: int) -> Float32Array:
        """Crop pixel coordinates [N, 2] (integers at pixel centres, y down) of world points [N, 3]."""
        clip = np.concatenate([points, np.ones((len(points), 1), np.float32)], 1) @ self.project.T
        plane = clip[:, :2] / clip[:, 3:]
        crop: Float32Array = ((plane * (1, -1) + 1) / 2 * size - 0.5).astype(np.float32)
        return crop


def crop_camera(landmarks: Float32Array, distance: float) -> CropCamera:
    """A camera at ``distance`` before the face, framed by the FFHQ crop of the 68 world landmarks [68, 3].

    The crop is the one that face alignment would cut from the uncropped picture: the landmarks are projected, the
    crop's quad is computed in the image plane, and the plane is mapped so that the quad fills the view.
    """
    aim = landmarks[17:].mean(0)
    position = np.array([aim[0], aim[1], landmarks[:, 2].max() + distance], np.float32)
    offset = landmarks - position
    plane = np.stack([offset[:, 0] / -offset[:, 2], -offset[:, 1] / -offset[:, 2]], 1)  # y down, as in a photo
    top_left, bottom_left, _, top_right = ffhq_quad(plane)
    edges = np.linalg.inv(np.stack([top_right - top_left, bottom_left - top_left], 1))  # plane offset -> (s, t) in 0..1
    to_clip = np.diag([2.0, -2.0]) @ edges
    shift = to_clip @ -top_left + np.array([-1.0, 1.0])
    near, far = distance * 0.3, distance + 80.0
    perspective = np.array(
        [
            [1, 0, 0, 0],
            [0, -1, 0, 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )
    frame = np.eye(4)
    frame[:2, :2], frame[:2, 3] = to_clip, shift
    move = np.eye(4)
    move[:3, 3] = -position
    return CropCamera(position, (frame @ perspective @ move).astype(np.float32))


def rotation(yaw: float, pitch: float, roll: float) -> Float32Array:
    """Rotation 3x3 of a head by degrees: positive yaw to its left, pitch down, roll to its left shoulder."""
    y, p, r = np.radians([yaw, pitch, -roll])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    product: Float32Array = (tilt @ turn @ nod).astype(np.float32)
    return product
