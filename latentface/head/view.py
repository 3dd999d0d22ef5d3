"""The part of a photo that a head's motion affects, as a copy that is scaled down if the head is very large.

The fields that move a head take many times the memory of the moved pixels. They are smooth, so those of a very large
head are computed on a smaller copy, and then move the photo's pixels at full size. New content of the copy, such as an
opened mouth, is enlarged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.faces.crop import ffhq_quad
from latentface.head.geometry import Box, bands, ramp
from latentface.head.motion import STILL, Motion
from latentface.io.images import reduced
from latentface.ops.raster import sample
from latentface.ops.warp import move, read

LARGEST = 400  # pixels between the eyes in a copy
AROUND = 5.0  # inter-ocular distances beyond the landmarks, further than any field reaches
NEW = (16.0, 40.0)  # of 255: if a copy differs by more from its own moved pixels, it has new content there
PLAIN = np.ones((1, 1, 3), np.float32)  # the gain where light stays
MOST_AT_ONCE = 12_000_000  # pixels of copies that are moved at once; each takes some 80 bytes meanwhile


@dataclass(frozen=True, eq=False)
class HeadView:
    """A head's part of a photo.

    Attributes:
        box: where it lies in the photo.
        factor: pixels of the photo on a side of one of the copy.
        pixels: the copy, uint8 RGB [H, W, 3].
    """

    box: Box
    factor: int
    pixels: Pixels

    @classmethod
    def of(cls, photo: Pixels, landmarks: npt.NDArray[np.floating]) -> HeadView:
        """That of the face with these landmarks [68, 2] in a photo, uint8 RGB [H, W, 3]."""
        quad = ffhq_quad(landmarks)
        unit = float(np.linalg.norm(quad[3] - quad[0])) / 4  # the distance between the eyes, also of a head turned away
        box = Box.around(landmarks, AROUND * unit, *photo.shape[:2]).or_pixel
        factor = max(1, math.ceil(unit / LARGEST))
        part = photo[box.slices]
        return cls(box, factor, part if factor == 1 else reduced(part, factor))

    @property
    def matrix(self) -> Float64Array:
        """The map of points (x, y, 1) from the photo to the copy, [3, 3]."""
        k = self.factor
        shift = (0.5 - np.array([self.box.left, self.box.top])) / k - 0.5
        return np.array([[1 / k, 0, shift[0]], [0, 1 / k, shift[1]], [0, 0, 1.0]])

    def at_once(self, most: int) -> int:
        """The number of moves of this view to compute together, from 1 up to `most`, as memory allows."""
        height, width = self.pixels.shape[:2]
        return min(most, max(1, MOST_AT_ONCE // int(height * width)))

    def part(self, inner: Box) -> Box:
        """A box of the copy, in the photo."""
        k, box = self.factor, self.box
        return Box(
            box.left + k * inner.left,
            box.top + k * inner.top,
            min(box.left + k * inner.right, box.right),
            min(box.top + k * inner.bottom, box.bottom),
        )

    def enlarge(self, picture: Pixels, motion: Motion, photo: Pixels) -> Pixels:
        """The photo's pixels in `part(motion.box)` after a motion; arguments as for `put`."""
        part = self.part(motion.box)
        made = np.empty((part.height, part.width, photo.shape[2]), np.uint8)
        self.put(made, picture, motion, photo)
        return made

    def put(self, result: Pixels, picture: Pixels, motion: Motion, photo: Pixels) -> None:
        """Write the photo's pixels in `part(motion.box)` after a motion into an array of its size.

        Args:
            result: the array, uint8 with the channels of the photo.
            picture: the copy after it, uint8 RGB.
            motion: how it was moved.
            photo: the whole photo, uint8 [H, W, 3], or [H, W, 4] with alpha, which moves along.
        """
        box, part = motion.box, self.part(motion.box)
        if self.factor == 1:
            result[..., :3] = picture[box.slices]
            if photo.shape[2] == 4:
                result[..., 3:] = _moved(photo[..., 3:], part, motion.shift)
            return
        colours, alpha = np.ascontiguousarray(photo[..., :3]), np.ascontiguousarray(photo[..., 3:])
        for band in bands(part.height):
            rows = part.rows(band)
            result[band, :, :3], shift = self._enlarge_band(rows, picture, motion, colours)
            if photo.shape[2] == 4:
                result[band, :, 3:] = _moved(alpha, rows, shift)

    def _enlarge_band(self, band: Box, picture: Pixels, motion: Motion, photo: Pixels) -> tuple[Pixels, Float32Array]:
        """A band of the photo after a motion, RGB, and its displacements."""
        k, box, part = self.factor, motion.box, self.part(motion.box)
        first = max((band.top - part.top) // k - 1, 0)
        rows = slice(first, (band.bottom - part.top) // k + 2)  # of the copy's box
        shift, gain = motion.shift[rows], motion.gains(rows)
        lit = gain * move(self.pixels, box.left, box.top + first, shift, STILL, PLAIN, 1)
        change = picture[box.slices][rows] - lit
        new = ramp(np.abs(change).max(axis=2), *NEW)[..., None]
        behind = np.zeros(new.shape, np.float32) if motion.behind is None else motion.behind[rows, :, None]
        planes = np.dstack([shift * k, gain, change, new, new * lit, behind])
        corner = np.array([part.left, part.top + first * k], np.float32)
        places = (band.places() - corner + np.float32(0.5)) / np.float32(k) - np.float32(0.5)
        shift, gain, change, new, lit, behind = np.split(read(planes, places), (2, 5, 8, 9, 12), axis=2)
        moved = gain * move(photo, band.left, band.top, shift, STILL, PLAIN, 1)
        made = (1 - new) * moved + lit + change
        made += behind * (photo[band.slices] - made)
        return np.rint(made).clip(0, 255).astype(np.uint8), shift


def _moved(alpha: Pixels, box: Box, shift: Float32Array) -> Pixels:
    """The alpha [H, W, 1] of a photo in a box after a displacement [h, w, 2]: [h, w, 1]."""
    return np.rint(sample(alpha, box.places() + shift)).clip(0, 255).astype(np.uint8)
