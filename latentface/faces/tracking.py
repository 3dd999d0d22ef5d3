"""One face followed through a film: found in a small copy, then looked for where it was, until it has gone."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import BuiltinLandmarks, LandmarkPredictor
from latentface.faces.presence import best_face, shows_face
from latentface.faces.square import Square, shrink

Box = tuple[int, int, int, int]

_SEARCH_SIDE = 480  # long side of the copy in which a face is looked for: faces of 8 % of it and more are found
_FARTHEST = 0.5  # sides of its square that a face moves between two looks; else it is another
_LARGEST_CHANGE = 1.5  # of that side
_HARDLY = 0.04  # sides that a face moves from frame to frame, beyond which it is looked at anew whether it is one
_ALIKE, _GRID = 12.0, 24  # mean difference, of 255, of pictures of a face that are alike, on a grid of such a side
_TRUSTED = 3  # frames of a film for which a face that hardly changes is taken for one


class Tracker:
    """Called with each picture, it gives the landmarks [68, 2] of the face it follows, or None where there is none.

    It stays with a face while that can be made out; then it takes the surest one in sight, which begins a new track.
    All it remembers are the face's `box`, in whole pixels, and the number of the `track`: with these a new tracker goes
    on where another stopped.

    Args:
        landmarks: the predictor.
        box, track: where another tracker stopped.
        dense: the pictures are all frames of a film. A face moves so little between two of them that the built-in
            predictor looks once, around its last landmarks, not twice, and that only every third picture is asked
            whether it still shows one, unless the face moves or looks otherwise.
    """

    def __init__(
        self, landmarks: LandmarkPredictor, box: Box | None = None, track: int = 0, *, dense: bool = False
    ) -> None:
        self.landmarks, self.box, self.track = landmarks, box, track
        self._dense = dense
        self._last: Float64Array | None = None
        self._seen: Pixels | None = None  # the face as it was made out, small
        self._unseen = 0  # pictures since then

    def __call__(self, picture: Pixels) -> Float64Array | None:
        """Landmarks [68, 2] of the followed face in uint8 RGB [H, W, 3], or None where the picture shows no face."""
        points = self._follow(picture)
        if points is None:
            points = best_face(picture, self.landmarks, (_SEARCH_SIDE,))
            self.track += points is not None
        self.box = None if points is None else _whole(alignment.box_around(points))
        self._last = points if self._dense else None
        return points

    def _follow(self, picture: Pixels) -> Float64Array | None:
        """The face where it was, or None when that cannot be one, or the same one."""
        if self.box is None:
            return None
        if self._last is not None and isinstance(self.landmarks, BuiltinLandmarks):
            points: Float64Array = self.landmarks.look_again(picture, self._last[None])[0]
        else:
            points = np.asarray(self.landmarks(picture, np.array([self.box], np.float64))[0])
        now = alignment.box_around(points)
        side, before = now[2] - now[0], self.box[2] - self.box[0]
        moved = np.abs((now[:2] + now[2:] - self.box[:2] - self.box[2:]) / 2).max()
        if moved > _FARTHEST * before or not before / _LARGEST_CHANGE <= side <= before * _LARGEST_CHANGE:
            return None
        square = Square.around(points).cut(picture)
        if not self._dense:
            return points if shows_face(square) else None
        small = shrink(square, _GRID)
        self._unseen += 1
        still = max(moved, abs(side - before)) <= _HARDLY * before
        alike = self._seen is not None and np.abs(small.astype(np.int16) - self._seen).mean() <= _ALIKE
        if still and alike and self._unseen < _TRUSTED:
            return points
        self._seen, self._unseen = None, 0
        if not shows_face(square):
            return None
        self._seen = small
        return points


def _whole(box: Float64Array) -> Box:
    x0, y0, x1, y1 = box.astype(int).tolist()
    return x0, y0, x1, y1
