"""The upright square of a face in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentface.arrays import Pixels
from latentface.faces.crop import ffhq_quad

SIDE = (
    1.35  # the side of a face's square relative to the upright FFHQ crop: includes all of the hair, and room for motion
)


@dataclass(frozen=True)
class Square:
    """An upright square of whole pixels: its top left pixel and its side; it may extend beyond the picture."""

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
        """The pixels [side, side, C] inside it, with the border pixels of the picture repeated beyond it."""
        return cut_out(picture, self.left, self.top, self.side, self.side)


def cut_out(picture: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """The pixels [height, width, C] of a rectangle, with the border pixels of the picture repeated beyond it."""
    rows, columns = (_within(*each) for each in ((top, height, picture.shape[0]), (left, width, picture.shape[1])))
    part = picture[rows[0] : rows[1], columns[0] : columns[1]]
    if any((*rows[2:], *columns[2:])):
        return np.pad(part, (rows[2:], columns[2:], (0, 0)), mode="edge")
    return np.ascontiguousarray(part)


def _within(first: int, side: int, size: int) -> tuple[int, int, int, int]:
    """Which of `size` pixels lie in a range of `side`, at least one, and how many are missing before and after."""
    low, high = min(max(first, 0), size - 1), max(min(first + side, size), 1)
    return low, high, min(max(-first, 0), side - 1), min(max(first + side - size, 0), side - 1)


def shrink(square: Pixels, side: int) -> Pixels:
    """Resize a square picture with a low-pass filter."""
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0))
