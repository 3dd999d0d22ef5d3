"""How a head is turned: rotations by yaw, pitch and roll, and back.

Positive yaw turns the face to its left (the viewer's right), positive pitch looks down, positive roll tilts the head
to its left shoulder. World axes are the head's own at rest: x to the viewer's right, y up, z towards the viewer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotation_matrix(yaw: float, pitch: float, roll: float) -> Array:
    """Rotation [3, 3] of a head by degrees: tilt(roll) @ turn(yaw) @ nod(pitch)."""
    y, p, r = np.radians([yaw, pitch, -roll])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    product: Array = tilt @ turn @ nod
    return product


def pose_angles(rotation: Array) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a rotation [3, 3]; the inverse of `rotation_matrix` for yaw within 90."""
    yaw = float(np.degrees(np.arcsin(np.clip(-rotation[2, 0], -1, 1))))
    pitch = float(np.degrees(np.arctan2(rotation[2, 1], rotation[2, 2])))
    roll = float(np.degrees(-np.arctan2(rotation[1, 0], rotation[0, 0])))
    return yaw, pitch, roll


def small_rotation(vector: Array) -> Array:
    """Rotation [3, 3] about a vector by its length in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turned
