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
        height, width = picture.shape[:2]
        rows = np.clip(np.arange(self.top, self.top + self.side), 0, height - 1)
        columns = np.clip(np.arange(self.left, self.left + self.side), 0, width - 1)
        return np.ascontiguousarray(picture[rows][:, columns])


def shrink(square: Pixels, side: int) -> Pixels:
    """Resize a square picture with a low-pass filter."""
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))
