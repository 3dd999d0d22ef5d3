"""The upright square of a face in a picture, and whether a face can be made out in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentface.arrays import Float64Array, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import ffhq_quad

SIDE = 1.35  # a face's square against the upright FFHQ crop's: all of the hair, and room for the head to move


_SEARCH_SIDES = (320, 10**6)  # long sides of the pictures in which a driver's face is looked for; the last is its own


_PRESENCE_SIDE = 118  # side of the driver's square in which each frame's face is looked for


_PRESENCE_SCORE = -0.5  # dlib's score: heads turned far away stay above, pictures without a face below


@dataclass(frozen=True)
class Square:
    """An upright square of whole pixels in a picture: its top left pixel and its side; it may leave the picture."""

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, landmarks: NDArray[np.floating], scale: float = SIDE) -> Square:
        """The square of a face by its landmarks [68, 2]."""
        quad = ffhq_quad(landmarks)
        side = max(8, round(float(np.linalg.norm(quad[3] - quad[0])) * scale))
        left, top = np.rint(quad.mean(0) + 0.5 - side / 2).astype(int).tolist()
        return cls(left, top, side)

    def cut(self, picture: Pixels) -> Pixels:
        """The pixels [side, side, C] inside it; beyond the picture its border pixels go on."""
        height, width = picture.shape[:2]
        rows = np.clip(np.arange(self.top, self.top + self.side), 0, height - 1)
        columns = np.clip(np.arange(self.left, self.left + self.side), 0, width - 1)
        return np.ascontiguousarray(picture[rows][:, columns])


def shrink(square: Pixels, side: int) -> Pixels:
    """A square picture at another side, low-passed."""
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def best_face(
    picture: Pixels, landmarks: LandmarkPredictor, sides: Sequence[int] = _SEARCH_SIDES
) -> Float64Array | None:
    """Landmarks [68, 2] of the surest face, looked for in copies of these long sides in turn; None when there is none.

    A copy is never larger than the picture.
    """
    for scale in dict.fromkeys(min(1.0, side / max(picture.shape[:2])) for side in sides):
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        copy = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
        boxes, _ = alignment.detect_faces(np.ascontiguousarray(copy))
        if len(boxes):
            factors = np.array(picture.shape[1::-1]) / size
            return np.asarray(landmarks(picture, boxes[:1] * np.tile(factors, 2))[0])
    return None


def shows_face(square: Pixels) -> bool:
    """Whether a face, turned away or not, can be made out in the square that one was in."""
    return alignment.best_score(shrink(square, _PRESENCE_SIDE)) >= _PRESENCE_SCORE
