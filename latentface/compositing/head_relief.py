"""A head as a relief that is highest along its middle; to turn it, each point is moved in proportion to its height."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array
from latentface.faces.crop import inter_ocular

#: How high before the neck's axis, in inter-ocular distances of 6.3 cm; how wide from the middle to the sides and from
#: the eyes to the chin (1 each at the outline).
_HEIGHT, _SIDES, _CHIN = 9.5 / 6.3, 1.15, 1.1
#: Additional height of the landmarks, [68].
HIGHER = np.zeros(68)
for _part, _centimetres in ((range(28, 30), 1.0), (range(30, 36), 2.5), (range(48, 68), 1.0)):
    HIGHER[_part] = _centimetres / 6.3
_ROUNDS = 8  # after which a point turned by 20 degrees is found to 0.01 inter-ocular distances


class Relief:
    """The head of a face with these landmarks [68, 2], in photo pixels; heights are in inter-ocular distances."""

    def __init__(self, landmarks: Float64Array) -> None:
        self.landmarks = landmarks
        right = landmarks[42:48].mean(0) - landmarks[36:42].mean(0)
        self._axes = right, np.array([-right[1], right[0]])  # each an inter-ocular distance long

    def turn(self, yaw: float, pitch: float) -> Float64Array:
        """The displacement [2] in photo pixels of a point of height 1 for a turn in degrees to the right, and down."""
        right, down = self._axes
        return np.asarray(np.sin(np.deg2rad(yaw)) * right + np.sin(np.deg2rad(pitch)) * down)

    def height(self, at: Float64Array) -> Float64Array:
        """The height of the head at photo pixels [..., 2]: [...]."""
        points = self.landmarks
        right, down = self._axes
        eyes, level = points[36:48].mean(0), right / inter_ocular(points)
        side = (points[[0, 16]] - eyes) @ level  # the outline on either side; in a turned head one side is nearer
        away = at - (eyes + side.mean() * level)
        across = away @ level / (_SIDES * (side[1] - side[0]) / 2)
        along = away @ down / (_CHIN * float((points[8] - eyes) @ down))
        return np.asarray(_HEIGHT * (1 - across**2 - along**4).clip(0) ** 1.5)

    def turned(self, points: Float64Array, turn: Float64Array) -> Float64Array:
        """The new positions of photo pixels [K, 2]: each moves in proportion to the height at its new position."""
        there = points
        for _ in range(_ROUNDS if turn.any() else 0):
            there = points + np.outer(self.height(there), turn)
        return there
