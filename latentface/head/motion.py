"""How the pixels of a photo move with a head, and their light with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latentface.arrays import Float32Array, Pixels
from latentface.head.geometry import Box
from latentface.ops.warp import Pull, gains_at, keep_background, move

if TYPE_CHECKING:
    from latentface.head.field import Field

STILL = 2e-3  # pixels: smaller motions are ignored


@dataclass(frozen=True)
class Gain:
    """The gain of a photo's colours in a box: `values` [h, w, 3] at every `step`th pixel from step // 2 on."""

    values: Float32Array
    step: int

    def at(self, places: Float32Array) -> Float32Array:
        """The gain at places [..., 2] in pixels of the box, [..., 3]."""
        return gains_at(self.values, self.step, places)


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of the pixels of a box.

    Attributes:
        box: a box of the photo.
        shift: the source of each pixel, relative to it, lids included, [H, W, 2].
        gain: of their values.
        field: of the head in the same box, which the motion follows but for lids and what holds skin back; None if the
            motion is of no head.
        behind: how much of each pixel is background before and after the motion, and keeps still, [H, W]; None without.
    """

    box: Box
    shift: Float32Array
    gain: Gain
    field: Field | None = None
    behind: Float32Array | None = None

    def apart(self, part: tuple[slice, slice]) -> Float32Array:
        """How far sources of skin lie from the places of the mesh, as beside spectacles, in a part of it, [h, w, 2]."""
        shift, field = self.shift[part], self.field
        if field is None:
            return np.zeros_like(shift)
        return np.where((field.layer[part] == 0)[..., None], shift - field.mesh[part], np.float32(0))

    def gains(self, rows: slice) -> Float32Array:
        """The gain of every pixel of some of the box's rows, [h, W, 3]."""
        first, last, _ = rows.indices(self.box.height)
        return self.gain.at(Box(0, first, self.box.width, last).places())

    def move(self, photo: Pixels) -> Float32Array:
        """The photo's pixels in the box after the motion, [H, W, 3]."""
        return move(photo, self.box.left, self.box.top, self.shift, STILL, self.gain.values, self.gain.step)

    def keep(self, moved: Float32Array, background: Pixels, seen: Pixels, pull: Pull | None = None) -> Float32Array:
        """Put a background back in the moved box, in place; arguments and result as for `keep_background`."""
        box, gain = self.box, self.gain
        return keep_background(
            moved, box.left, box.top, self.shift, STILL, gain.values, gain.step, background, seen, pull
        )
