"""Measures how far a driver's eyelids have closed, from the pixels between them.

Landmarks of a shut eye often stay where those of the open one were. What does disappear is the iris, a dark disc
between brighter sides. Its contrast is compared with that of the same eye while it was open.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter1d

from latentface.arrays import Float64Array, Pixels

_EYES = (slice(36, 42), slice(42, 48))  # of 68 landmarks: the subject's right eye and the left
_SIZE = (14, 24)  # rows and columns of the patch of an eye
_REACH = (0.27, 0.46)  # its size in inter-ocular distances
_APART = 4  # columns of the patch from the middle of the iris to the white beside it
_ROWS = slice(3, 11)  # part of the patch in which the iris is searched
_OPEN, _SHUT = 0.75, 0.5  # shares of the open eye's contrast above which it counts as open, and below which as closed
_TOGETHER = 0.9  # the share below which an eye goes along with the other, as in a blink and not in a wink
_SAME = 5  # frames after a blink in which both eyes are as far open: the contrast of one often comes back later
_LEAST = 0.06  # contrast of an open eye, relative to the skin's brightness, below which nothing can be measured
_MEMORY = 100.0  # frames over which the reference contrast of the open eye decays to a lower one


class Lids:
    """Called with each frame and its landmarks [68, 2], it returns how far each eye has closed, [2] from 0 to 1.

    The first frame's eyes count as open. Order: the subject's right eye, the left.
    """

    def __init__(self, picture: Pixels, landmarks: Float64Array) -> None:
        self.open = iris_contrasts(picture, landmarks)
        self._blinked = _SAME  # frames since both were shut

    def __call__(self, picture: Pixels, landmarks: Float64Array) -> Float64Array:
        """How far each eye has closed in the next frame, [2]."""
        now = iris_contrasts(picture, landmarks)
        share = now / np.maximum(self.open, 1e-6)
        alone = np.clip((_OPEN - share) / (_OPEN - _SHUT), 0, 1) * (self.open > _LEAST)
        together = np.clip((_TOGETHER - share) / (_TOGETHER - _OPEN), 0, 1) * (self.open > _LEAST)
        shut: Float64Array = np.maximum(alone, alone[::-1] * together)
        self._blinked = 0 if shut.min() == 1 else self._blinked + 1
        if self._blinked <= _SAME:
            shut = np.full(2, shut.mean())
        slowly = self.open + (now - self.open) / _MEMORY * (share > _OPEN)
        self.open = np.maximum(now, slowly)
        return shut


def iris_contrasts(picture: Pixels, landmarks: Float64Array) -> Float64Array:
    """The contrast of the darkest disc in each eye to its sides, relative to the skin's brightness, [2].

    Args:
        picture: uint8 RGB [H, W, 3].
        landmarks: [68, 2] of a face in it.
    """
    middles = [landmarks[eye].mean(0) for eye in _EYES]
    across = middles[1] - middles[0]
    length = float(np.linalg.norm(across))
    if length < 1:
        return np.zeros(2)
    low = np.floor(np.min(middles, axis=0) - length).astype(int).clip(0)
    high = np.ceil(np.max(middles, axis=0) + length).astype(int).clip(1)
    part = picture[low[1] : high[1], low[0] : high[0]] @ np.array([0.3, 0.6, 0.1])
    if not part.size:
        return np.zeros(2)
    part = gaussian_filter(part, 0.012 * length)
    down = np.array([-across[1], across[0]])
    rows, columns = ((np.arange(size) + 0.5) / size - 0.5 for size in _SIZE)
    grid = _REACH[0] * rows[:, None, None] * down + _REACH[1] * columns[:, None] * across
    return np.array([_contrast(part, middle - low + grid) for middle in middles])


def _contrast(picture: Float64Array, places: Float64Array) -> float:
    tones = map_coordinates(picture, [places[..., 1], places[..., 0]], order=1, mode="nearest")
    tones = tones / max(float(np.percentile(tones, 90)), 1.0)
    sides = (tones[:, : -2 * _APART] + tones[:, 2 * _APART :]) / 2
    darker = np.maximum(sides - tones[:, _APART:-_APART], 0.0)
    return float(uniform_filter1d(uniform_filter1d(darker, 5, axis=0), 3, axis=1)[_ROWS].max())
