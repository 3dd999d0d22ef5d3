"""A head as a relief that is highest along its middle: it turns by a warp, each point as far as it is high."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array
from latentface.faces.crop import inter_ocular

#: How high before the neck's axis, in inter-ocular distances of 6.3 cm; how wide from the middle to the sides and from
#: the eyes to the chin (1 each at the outline).
_HEIGHT, _SIDES, _CHIN = 9.5 / 6.3, 1.15, 1.1
#: How much higher than that landmarks are, [68].
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
        """By how many photo pixels [2] a height of 1 moves when the head turns by degrees to the right, and down."""
        right, down = self._axes
        return np.asarray(np.sin(np.deg2rad(yaw)) * right + np.sin(np.deg2rad(pitch)) * down)

    def height(self, at: Float64Array) -> Float64Array:
        """How high the head is at photo pixels [..., 2]: [...]."""
        points = self.landmarks
        right, down = self._axes
        eyes, level = points[36:48].mean(0), right / inter_ocular(points)
        side = (points[[0, 16]] - eyes) @ level  # the outline on either side, of a turned head nearer on one
        away = at - (eyes + side.mean() * level)
        across = away @ level / (_SIDES * (side[1] - side[0]) / 2)
        along = away @ down / (_CHIN * float((points[8] - eyes) @ down))
        return np.asarray(_HEIGHT * (1 - across**2 - along**4).clip(0) ** 1.5)

    def turned(self, points: Float64Array, turn: Float64Array) -> Float64Array:
        """Where photo pixels [K, 2] come to lie: each moves by the height where it ends up."""
        there = points
        for _ in range(_ROUNDS if turn.any() else 0):
            there = points + np.outer(self.height(there), turn)
        return there
