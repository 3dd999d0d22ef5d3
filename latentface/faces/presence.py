"""Whether a picture shows a face: the best one in a whole picture, and one in the square where it was before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from latentface.arrays import Float64Array, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.square import shrink

_SEARCH_SIDES = (320, 10**6)  # long sides of the copies in which a driver's face is searched; the last is the full size
PRESENCE_SIDE = 118  # size of the driver's square in which the face is searched in each frame
_FILLING = 40  # of that: the least width of the face that the square is made for, which has 43 or more
_MIDDLE = np.s_[31:110, 20:98]  # of that: around a face that is where the square was made for it
_ALIKE, _GRID = 12.0, 24  # mean difference, of 255, between similar pictures of a face, on a grid of this size
TRUSTED = 3  # pictures of a film for which a face that hardly changes is not detected again
_PRESENCE_SCORE = -0.5  # dlib's score: heads turned far away score higher, pictures without a face lower


def best_face(
    picture: Pixels, landmarks: LandmarkPredictor, sides: Sequence[int] = _SEARCH_SIDES
) -> Float64Array | None:
    """Landmarks [68, 2] of the best face in copies with these long sides, tried in turn; None if there is none.

    A copy is never larger than the picture.
    """
    for side in dict.fromkeys(min(side, max(picture.shape[:2])) for side in sides):
        faces = find_faces(picture, landmarks, side, most=1)
        if len(faces):
            return faces[0]
    return None


def find_faces(
    picture: Pixels, landmarks: LandmarkPredictor, side: int, most: int | None = None
) -> Sequence[Float64Array]:
    """Landmarks [68, 2] of all faces in a copy with this long side at most, best first; `most`: of so many only."""
    copy, factors = _copy(picture, side)
    boxes, _ = alignment.detect_faces(copy)
    if not len(boxes):
        return ()
    found: Sequence[Float64Array] = [
        np.asarray(points) for points in landmarks(picture, boxes[:most] * np.tile(factors, 2))
    ]
    return found


def find_boxes(picture: Pixels, side: int, least: float) -> tuple[Float64Array, Float64Array]:
    """Boxes [F, 4] and scores [F] of faces of this score or more, best first, in a copy with this long side at most.

    Unlike for `find_faces`, that copy alone is searched, which takes a quarter of the time where there is no face.
    """
    copy, factors = _copy(picture, side)
    boxes, scores = alignment.detect_weak(copy, least)
    return boxes * np.tile(factors, 2), scores


def _copy(picture: Pixels, side: int) -> tuple[Pixels, Float64Array]:
    """A copy with this long side at most, and the picture's pixels for each of its own, across and down."""
    scale = min(1.0, side / max(picture.shape[:2]))
    size = tuple(max(1, round(length * scale)) for length in picture.shape[1::-1])
    copy = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    return np.ascontiguousarray(copy), np.array(picture.shape[1::-1]) / size


def shows_face(square: Pixels) -> bool:
    """Whether a face, turned away or not, can still be detected in the square where one was.

    It is searched in the middle first, which takes half the time, and everywhere if it is not there.
    """
    small = shrink(square, PRESENCE_SIDE)
    return any(alignment.best_score(part, _FILLING) >= _PRESENCE_SCORE for part in (small[_MIDDLE], small))


class Presence:
    """Whether the squares of a face in a film, one after the other, still show it.

    Attributes:
        unseen: number of pictures since it was last detected.
        change: mean difference of the latest picture to that one, of 255.
    """

    def __init__(self) -> None:
        self.unseen, self.change = 0, np.inf
        self._seen: Pixels | None = None  # a small copy of the square in which it was last detected

    def __call__(self, square: Pixels, still: bool = True) -> bool:
        """Whether the next square shows the face; detected only every third time if it is `still` and looks alike."""
        small = shrink(square, _GRID)
        self.unseen += 1
        self.change = np.inf if self._seen is None else float(np.abs(small.astype(np.int16) - self._seen).mean())
        if still and self.change <= _ALIKE and self.unseen < TRUSTED:
            return True
        found = shows_face(square)
        if found:
            self._seen, self.unseen = small, 0
        return found
