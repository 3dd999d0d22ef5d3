"""A still background gives way beside a head that moves: it is stretched over what the head uncovers.

What stands behind people is not in the photo. Patches continue stripes and plain walls (`uncovered`), but flags and
faces become rags, and there the background beside people is drawn over the gap instead: on each line across the former
outline, with s the distance from it (negative behind people) and D the depth of the gap, it is read at

    s' = s + (SPAN D - s) / (1 + SPAN)    for s < SPAN D,

from the outline itself at the bottom of the gap to where it stands at SPAN D. So edges go on without a break, a little
bent, and nothing is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array, Pixels
from latentface.head.geometry import Box, block_middles, blur_known, on_blocks, ramp
from latentface.head.motion import Motion
from latentface.io.images import reduced
from latentface.ops.warp import Pull, read

SPAN = 2.0  # of a gap's depth: so far from people their background is stretched
CELLS = 144  # the longer side of the grid on which it is
PURE = 0.98  # share of background in a cell that shows nothing else
SOFT = 0.02  # share from which on a cell shows a little of it
FREED = 0.1  # a larger share that the motion adds is seen
ALONG = 11  # cells along the outline over which the deepest place of a gap counts, and over which it is smoothed
SMOOTH = 3.0
SEEN = 0.25  # pixels: smaller displacements are not
ONSET = 1.5  # cells by which a gap must grow beyond the soft edge of people for the whole effect


@dataclass(frozen=True, eq=False)
class Stretch:
    """How the background of a photo can be stretched.

    Attributes:
        box: the part of the photo in which the background is known.
        step: a cell of the grid has so many pixels a side.
        share: how much of each cell is background, [h, w].
        distance: pixels from the outline of people, negative behind them, [h, w].
        away: the direction away from people, [h, w, 2].
        rim: the nearest cell that shows background alone, row and column, int64 [2, h, w].
        outline: which cells are such nearest ones, bool [h, w].
        nearest: the nearest of these, int64 [2, h, w].
        amount: 0 where patches continue the background well, 1 where it is to be stretched, [h, w].
    """

    box: Box
    step: int
    share: Float32Array
    distance: Float32Array
    away: Float32Array
    rim: Int64Array
    outline: BoolArray
    nearest: Int64Array
    amount: Float32Array

    @classmethod
    def of(cls, opacity: Pixels, box: Box, amount: Float32Array, amount_step: int) -> Stretch | None:
        """Prepare the background of a box; None if it is to be stretched nowhere.

        Args:
            opacity: how much of each pixel is background, in 255ths, uint8 [H, W] of the box.
            box: a part of the photo.
            amount: as the attribute, for each block of `amount_step` x `amount_step` pixels.
            amount_step: pixels of such a block's side.
        """
        step = max(1, -(-max(opacity.shape) // CELLS))
        share = reduced(opacity, step).astype(np.float32) / np.float32(255)
        pure = share > PURE
        if pure.all() or not pure.any() or not amount.any():
            return None
        inside, to_pure = ndimage.distance_transform_edt(~pure, return_indices=True)
        distance = np.where(pure, ndimage.distance_transform_edt(pure) - 0.5, 0.5 - inside).astype(np.float32)
        slope = np.stack(np.gradient(ndimage.gaussian_filter(distance, 1.5))[::-1], axis=2)
        steep = np.maximum(np.hypot(slope[..., 0], slope[..., 1]), np.float32(0.3))
        outline = np.zeros(share.shape, bool)
        outline[tuple(to_pure[:, ~pure])] = True
        nearest = ndimage.distance_transform_edt(~outline, return_distances=False, return_indices=True)
        inner = block_middles(Box(0, 0, opacity.shape[1], opacity.shape[0]), step).astype(np.float32)
        return cls(
            box, step, share, step * ndimage.gaussian_filter(distance, 1.0), slope / steep[..., None],
            to_pure.astype(np.int64), outline, nearest.astype(np.int64), read(amount, on_blocks(inner, amount_step)),
        )  # fmt: skip

    def pull(self, motion: Motion) -> Pull | None:
        """From where the background is taken after a motion of the people in front of it; None if it stands still."""
        places = block_middles(self.box, self.step).astype(np.float32)
        inside = places - np.array([motion.box.left, motion.box.top], np.float32)
        moved = places + read(motion.shift, inside, bounded=True) - np.array([self.box.left, self.box.top], np.float32)
        free = read(self.share, on_blocks(moved, self.step))
        hidden = self.share <= PURE
        gap = self._deepest(hidden & (free - self.share > FREED))
        if not gap.any():
            return None
        soft = self._deepest(hidden & (self.share > SOFT))
        grown = np.where(gap > 0, np.maximum(gap - soft, 0), 0)
        depth, grown = self._along_outline(np.where(gap > 0, np.maximum(gap, soft), 0), grown)
        stretched = ((np.float32(SPAN) * depth - self.distance) / np.float32(1 + SPAN)).clip(0, depth)
        stretched *= ramp(grown, 0, ONSET * self.step) * self.amount
        values = ndimage.gaussian_filter(self.away * stretched[..., None], (1, 1, 0))
        if np.abs(values).max() < SEEN:
            return None
        return Pull(values, self.box.left, self.box.top, self.step)

    def _deepest(self, cells: BoolArray) -> Float32Array:
        """How deep some cells lie behind people at most, pixels, at the nearest cells of the outline, [h, w]."""
        found = np.zeros(self.share.shape, np.float32)
        np.maximum.at(found, tuple(self.rim[:, cells]), -self.distance[cells])
        return found

    def _along_outline(self, *depths: Float32Array) -> Float32Array:
        """Depths [h, w] at the outline, smooth along it and the same on each line across it: [C, h, w]."""
        most = np.dstack([ndimage.maximum_filter(depth, ALONG) for depth in depths])
        smooth, _ = blur_known(most, self.outline, SMOOTH)
        across = smooth[self.nearest[0], self.nearest[1]]
        made: Float32Array = ndimage.gaussian_filter(across, (1, 1, 0)).transpose(2, 0, 1)
        return made
