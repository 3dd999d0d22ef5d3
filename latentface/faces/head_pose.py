"""Head pose from 68 landmarks: a rigid mean face under scaled orthographic projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentface.arrays import Float64Array
from latentface.errors import UsageError

#: Points that expressions move little, by their index among the 68, and their position in a mean face: centimetres, x
#: to the face's left, y up, z to the front (rounded means of ICT-FaceKit, MIT licence).
MEAN_FACE = {
    27: (0.0, 3.1, 0.3), 30: (0.0, -0.3, 2.6), 31: (-1.3, -1.8, 0.4), 33: (0.0, -1.9, 1.1), 35: (1.3, -1.8, 0.4),
    36: (-4.5, 2.7, -1.8), 39: (-1.8, 2.6, -1.2), 42: (1.8, 2.6, -1.2), 45: (4.5, 2.7, -1.8),
    48: (-2.5, -4.2, -0.2), 54: (2.5, -4.2, -0.2),
}  # fmt: skip
_INDICES = list(MEAN_FACE)
_FACE = np.array(list(MEAN_FACE.values()))
_FACE -= _FACE.mean(0)


@dataclass(frozen=True, eq=False)
class HeadPose:
    """The head's angles in degrees, and its axes in the picture.

    Positive yaw turns the face to its left (the viewer's right), positive pitch looks down, positive roll tilts to its
    left. ``axes`` [3, 2]: the head's left, up and front in pixels, each a centimetre long.
    """

    yaw: float
    pitch: float
    roll: float
    axes: Float64Array

    def differs(self, other: HeadPose) -> float:
        """The largest difference of the three angles, in degrees."""
        return max(abs(self.yaw - other.yaw), abs(self.pitch - other.pitch), abs(self.roll - other.roll))


def head_pose(landmarks: NDArray[np.floating]) -> HeadPose:
    """The pose of a face from landmarks [68, 2] in pixels (y down); UsageError if they all coincide."""
    seen = np.asarray(landmarks, np.float64)[_INDICES] * (1.0, -1.0)
    seen = seen - seen.mean(0)
    if not np.abs(seen).max() > 0:
        raise UsageError("all landmarks coincide; a pose needs the landmarks of a face")
    plane, *_ = np.linalg.lstsq(_FACE, seen, rcond=None)  # [3, 2]: observed = face @ plane
    left, _, right = np.linalg.svd(plane, full_matrices=False)
    size = float(np.linalg.norm(plane) / np.sqrt(2))
    first, second = (left @ right).T  # the nearest orthonormal rows
    rotation = np.stack([first, second, np.cross(first, second)])
    # rotation = tilt(roll) turn(yaw) nod(pitch), as the synthetic heads are turned
    yaw = float(np.degrees(np.arcsin(np.clip(-rotation[2, 0], -1, 1))))
    pitch = float(np.degrees(np.arctan2(rotation[2, 1], rotation[2, 2])))
    roll = float(np.degrees(-np.arctan2(rotation[1, 0], rotation[0, 0])))
    return HeadPose(yaw, pitch, roll, np.asarray(rotation[:2].T * size * (1.0, -1.0)))
