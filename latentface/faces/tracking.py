"""Tracking of faces through a film: detected in a small copy, then searched near their last position until lost.

`Tracker` follows one face, whosever it is. `People` follows everybody, and knows them again by their identity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import BuiltinLandmarks, LandmarkPredictor
from latentface.faces.presence import TRUSTED, Presence, best_face, shows_face
from latentface.faces.square import Square

Box = tuple[int, int, int, int]

SEARCH_SIDE = 480  # long side of the copy in which a face is searched; faces of 8 % or more of it are found
_FARTHEST = 0.5  # largest motion of a face between two looks, in sides of its square; a larger one means another face
_LARGEST_CHANGE = 1.5  # of that side
_HARDLY = 0.04  # motion from frame to frame, in sides, beyond which the detector checks the face again
#: Frames for which a face that the detector loses is followed nevertheless, and the largest difference to its last
#: picture meanwhile.
_PATIENCE, _AKIN = 6, 20.0


class Tracker:
    """Called with each picture, it returns the landmarks [68, 2] of the tracked face, or None if there is none.

    It tracks a face as long as it can be detected, and then starts a new track with the best-scored face. Its only
    state is the `box` of the face, in whole pixels, and the number of the `track`, from which another tracker can
    continue.

    Args:
        landmarks: the predictor.
        box, track: the state of another tracker to continue from.
        dense: the pictures are consecutive frames of a film. Since a face moves little between two of them, the
            built-in predictor needs only one pass around the last landmarks instead of two, and only every third
            picture is checked for a face, unless the face moves or changes.
    """

    def __init__(
        self, landmarks: LandmarkPredictor, box: Box | None = None, track: int = 0, *, dense: bool = False
    ) -> None:
        self.landmarks, self.box, self.track = landmarks, box, track
        self._dense = dense
        self._last: Float64Array | None = None
        self._motion: Float64Array = np.zeros(2)  # from picture to picture
        self._presence = Presence()

    @classmethod
    def of_film(cls, landmarks: LandmarkPredictor, points: Float64Array, before: Float64Array | None = None) -> Tracker:
        """A tracker of consecutive frames that continues from a face's landmarks [68, 2] in one of them.

        before: those in the one before, if they are known; it is expected to move on.
        """
        made = cls(landmarks, dense=True)
        if before is not None:
            made._keep(before)
        made._keep(points)
        return made

    def __call__(self, picture: Pixels) -> Float64Array | None:
        """Landmarks [68, 2] of the tracked face in uint8 RGB [H, W, 3], or None if the picture shows no face."""
        points = self.follow(picture)
        if points is not None:
            return points
        points = best_face(picture, self.landmarks, (SEARCH_SIDE,))
        self.track += points is not None
        return self._keep(points)

    def follow(self, picture: Pixels, akin: Callable[[Float64Array], bool] | None = None) -> Float64Array | None:
        """The same face near its last position, [68, 2], or None, without a search, if it is not there any more.

        akin: whether landmarks [68, 2] where the detector finds no face, as in one that is turned away, are those of
        the same face nevertheless.
        """
        return self._keep(self._follow(picture, akin))

    @property
    def changed(self) -> bool:
        """Whether the face in the last picture looks so different that it may be another one."""
        return _AKIN < self._presence.change < np.inf

    def _keep(self, points: Float64Array | None) -> Float64Array | None:
        self.box = None if points is None else whole_box(points)
        known = None if points is None or self._last is None else points - self._last
        self._motion = np.zeros(2) if known is None else known.mean(0)
        self._last = points if self._dense else None
        return points

    def _follow(self, picture: Pixels, akin: Callable[[Float64Array], bool] | None) -> Float64Array | None:
        """The face near its last position, or None if there is no face there, or not the same one."""
        if self.box is None:
            return None
        if self._last is not None:
            points = look_near(self.landmarks, picture, self._last + self._motion)
        else:
            points = np.asarray(self.landmarks(picture, np.array([self.box], np.float64))[0])
        now = alignment.box_around(points)
        side, before = now[2] - now[0], self.box[2] - self.box[0]
        motion = (now[:2] + now[2:] - self.box[:2] - self.box[2:]) / 2
        moved, jumped = np.abs(motion).max(), np.abs(motion - self._motion).max()
        if jumped > _FARTHEST * before or not before / _LARGEST_CHANGE <= side <= before * _LARGEST_CHANGE:
            return None
        square = Square.around(points).cut(picture)
        if not self._dense:
            return points if shows_face(square) or (akin is not None and akin(points)) else None
        still = max(moved, abs(side - before)) <= _HARDLY * before
        if self._presence(square, still):
            return points
        if still and self._presence.change <= _AKIN and self._presence.unseen < TRUSTED + _PATIENCE:
            return points
        return points if akin is not None and akin(points) else None


def look_near(landmarks: LandmarkPredictor, picture: Pixels, known: Float64Array) -> Float64Array:
    """Landmarks [68, 2] of a face where they are roughly known; the built-in predictor needs one pass for that."""
    if isinstance(landmarks, BuiltinLandmarks):
        found: Float64Array = landmarks.look_again(picture, known[None])[0]
        return found
    return np.asarray(landmarks(picture, alignment.box_around(known)[None])[0])


def is_steady(landmarks: LandmarkPredictor, picture: Pixels, points: Float64Array, most: float) -> bool:
    """Whether landmarks [68, 2] stay within `most` of their size where the built-in predictor looks for them again.

    Those of what is no face, or of a part of one, hardly ever do. Other predictors say nothing by looking again.
    """
    if not isinstance(landmarks, BuiltinLandmarks):
        return True
    moved = np.linalg.norm(look_near(landmarks, picture, points) - points, axis=1).mean()
    return float(moved) < most * float(np.hypot(*np.ptp(points, axis=0)))


def whole_box(landmarks: Float64Array) -> Box:
    """The box of `box_around` in whole pixels."""
    x0, y0, x1, y1 = alignment.box_around(landmarks).astype(int).tolist()
    return x0, y0, x1, y1
