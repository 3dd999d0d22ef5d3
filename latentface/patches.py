"""A hole in a picture drawn from patches that are seen elsewhere in it.

Every patch that touches the hole is compared with those outside it (PatchMatch, Barnes et al. 2009), and the
overlapping matches vote on each pixel, those near the rim with more weight (Wexler et al. 2007).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array

STEPS = (8, 4, 2, 1, 1)  # pixels to the neighbours whose shifts a patch tries
SEARCH = 8  # steps around its match in which a patch tries another, at random
DOUBT = 1.3  # by how much less a patch counts for each pixel that its middle lies deeper in the hole


class PatchMatches:
    """For each place whose patch touches a hole the place whose patch is most like it.

    Args:
        picture: float32 [H, W, 3], with a guess in the hole.
        hole: bool [H, W].
        radius: pixels around the middle of a patch.
        wanted: the part of the hole to draw, bool [H, W]; all of it by default.
        trust: how far the guess counts when patches are compared, float32 [H, W]; all of it by default.
    """

    # Places are numbers of pixels, row by row; `source` are those whose patches are seen whole.

    def __init__(
        self, picture: Float32Array, hole: BoolArray, radius: int, wanted: BoolArray | None = None,
        trust: Float32Array | None = None,
    ) -> None:  # fmt: skip
        self.shape, self.radius, self.side = hole.shape, radius, 2 * radius + 1
        self.patches = self._unfolded(picture)  # [H W, 3 side side]
        touched = ndimage.maximum_filter(hole, self.side)
        self.whole = ~touched
        near = touched if wanted is None else touched & ndimage.maximum_filter(wanted, self.side)
        self.place, self.source = np.flatnonzero(near), np.flatnonzero(self.whole)
        self.depth = ndimage.distance_transform_edt(hole).ravel()[self.place]
        self.number = np.full(hole.size, -1)
        self.number[self.place] = np.arange(len(self.place))
        self.rows, self.columns = np.divmod(self.place, hole.shape[1])
        self.trust = None if trust is None else self._unfolded(trust[..., None])[self.place]
        self.at = np.zeros(len(self.place), np.int64)
        self.apart = np.full(len(self.place), np.inf, np.float32)

    def search(self, random: np.random.Generator, shifts: Int64Array | None = None) -> None:
        """Find the matches, from [H, W, 2] of `shifts` of a former search or from places at random.

        Raises:
            ValueError: no patch is seen whole.
        """
        everywhere = np.arange(len(self.place))
        if shifts is not None:
            start = shifts[self.rows, self.columns]
            self._try(everywhere, self.rows + start[:, 0], self.columns + start[:, 1])
        new = np.flatnonzero(np.isinf(self.apart))
        self._try(new, *np.divmod(random.choice(self.source, len(new)), self.shape[1]))
        for step in STEPS:
            for down, right in ((0, step), (step, 0), (0, -step), (-step, 0)):
                self._take_over(down, right)
            down, right = random.integers(-SEARCH * step, SEARCH * step + 1, (2, len(self.place)))
            rows, columns = np.divmod(self.at, self.shape[1])
            self._try(everywhere, rows + down, columns + right)

    @property
    def shifts(self) -> Int64Array:
        """How far away each match is, rows and columns, [H, W, 2]; zero where nothing is to be drawn."""
        found = np.zeros((*self.shape, 2), np.int64)
        found[self.rows, self.columns] = np.stack(np.divmod(self.at, self.shape[1]), axis=1)
        found[self.rows, self.columns] -= np.stack([self.rows, self.columns], axis=1)
        return found

    @property
    def misfit(self) -> Float32Array:
        """Root mean square difference of each patch from its match, where it is trusted, [H, W]; else zero."""
        known = np.float32(self.side**2) if self.trust is None else np.maximum(self.trust.sum(axis=1), np.float32(1e-6))
        made = np.zeros(self.shape, np.float32)
        made[self.rows, self.columns] = np.sqrt(self.apart / (3 * known))
        return made

    def drawn(self) -> Float32Array:
        """What the matches show together, float32 [H, W, 3]; beyond their patches it is zero."""
        side, radius = self.side, self.radius
        unit = float(np.percentile(self.apart, 75)) + 1e-3
        weight = (np.exp(-self.apart / (2 * unit)) * DOUBT**-self.depth + 1e-8).astype(np.float32)
        spread = np.zeros((4 * side**2, self.number.size), np.float32)
        spread[: -(side**2), self.place] = (self.patches[self.at] * weight[:, None]).T
        spread[-(side**2) :, self.place] = weight
        size = self.shape[0] + 2 * radius, self.shape[1] + 2 * radius
        total = F.fold(torch.from_numpy(spread)[None], size, side)[0].numpy()[:, radius:-radius, radius:-radius]
        return np.ascontiguousarray((total[:3] / np.maximum(total[3:], 1e-12)).transpose(1, 2, 0))

    def _unfolded(self, picture: Float32Array) -> Float32Array:
        """The patches around all pixels of [H, W, C], [H W, C side side]."""
        planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
        padded = F.pad(planes, (self.radius,) * 4, mode="replicate")
        return np.ascontiguousarray(F.unfold(padded, self.side)[0].T.numpy())

    def _take_over(self, down: int, right: int) -> None:
        """Each place tries the shift of a neighbour."""
        rows, columns = self.rows + down, self.columns + right
        inside = (rows >= 0) & (columns >= 0) & (rows < self.shape[0]) & (columns < self.shape[1])
        neighbour = np.where(inside, self.number[(rows * self.shape[1] + columns).clip(0, self.number.size - 1)], -1)
        chosen = np.flatnonzero(neighbour >= 0)
        rows, columns = np.divmod(self.at[neighbour[chosen]], self.shape[1])
        self._try(chosen, rows - down, columns - right)

    def _try(self, chosen: Int64Array, rows: Int64Array, columns: Int64Array) -> None:
        """Take other matches for some places, where they are nearer."""
        inside = (rows >= 0) & (columns >= 0) & (rows < self.shape[0]) & (columns < self.shape[1])
        chosen, at = chosen[inside], rows[inside] * self.shape[1] + columns[inside]
        seen = self.whole.ravel()[at]
        chosen, at = chosen[seen], at[seen]
        difference = self.patches[self.place[chosen]] - self.patches[at]
        if self.trust is not None:
            difference = difference.reshape(len(chosen), 3, self.side**2)
            apart = np.einsum("nck,nck,nk->n", difference, difference, self.trust[chosen])
        else:
            apart = np.einsum("nk,nk->n", difference, difference)
        nearer = apart < self.apart[chosen]
        self.at[chosen[nearer]], self.apart[chosen[nearer]] = at[nearer], apart[nearer]
