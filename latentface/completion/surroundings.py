"""Completed holes brought nearer to their surroundings: what patches of the photo itself show where they look alike.

A network knows faces; of hair, clothes and what stands behind a person it knows little more than the photo shows beside
the hole. Every patch in the hole is compared with those outside it (PatchMatch, Barnes et al. 2009), and overlapping
patches vote on each pixel, those near the rim with more weight (Wexler et al. 2007). The mean of both guesses has less
of the faults that only one of them has.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from latentface.faces.regions import fill, outline

RADIUS = 2  # pixels around the middle of a patch
SIDE = 2 * RADIUS + 1
STEPS = (8, 4, 2, 1, 1)  # pixels to the neighbours whose shifts a patch tries
SEARCH = 8  # steps around its match in which a patch tries another, at random
DOUBT = 1.3  # by how much less a patch counts for each pixel that its middle lies deeper in the hole
FOREHEAD = 0.5  # inter-ocular distances that the outline reaches above the brows
BESIDE, WITHIN = 0.6, 0.25  # shares of the surroundings in what is shown, beside the face and within its outline
SOFT = 4.0  # deviation in pixels over which one share passes into the other


def follow_surroundings(picture: Float32Array, hole: BoolArray, landmarks: Float64Array) -> Float32Array:
    """A completed picture whose hole is also drawn from patches around it; elsewhere it is returned as it is.

    Args:
        picture: float32 [H, W, 3], 0 to 255, with the hole completed.
        hole: [H, W].
        landmarks: [68, 2], of the face, in pixels of the picture.
    """
    matches = _Matches(picture, hole)
    if not len(matches.source) or not len(matches.place):
        return picture
    matches.search(np.random.default_rng(0))
    face = fill(outline([landmarks], FOREHEAD), (hole.shape[1], hole.shape[0])).astype(np.float32)
    share = BESIDE + (WITHIN - BESIDE) * ndimage.gaussian_filter(face, SOFT)[..., None]
    result: Float32Array = picture.copy()
    result[hole] = (picture + share * (matches.drawn() - picture))[hole]
    return result


class _Matches:
    """For each place whose patch touches the hole, `place`, the place that it is most like, `at`, and how far apart.

    Places are numbers of pixels, row by row; `source` are those whose patches are seen whole.
    """

    def __init__(self, picture: Float32Array, hole: BoolArray) -> None:
        self.shape = hole.shape
        planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
        padded = F.pad(planes, (RADIUS,) * 4, mode="replicate")
        self.patches = np.ascontiguousarray(F.unfold(padded, SIDE)[0].T.numpy())  # [H W, 3 SIDE SIDE]
        touched = ndimage.maximum_filter(hole, SIDE)
        self.whole = ~touched
        self.place, self.source = np.flatnonzero(touched), np.flatnonzero(self.whole)
        self.depth = ndimage.distance_transform_edt(hole).ravel()[self.place]
        self.number = np.full(hole.size, -1)
        self.number[self.place] = np.arange(len(self.place))
        self.rows, self.columns = np.divmod(self.place, hole.shape[1])
        self.at = np.zeros(len(self.place), np.int64)
        self.apart = np.full(len(self.place), np.inf, np.float32)

    def search(self, random: np.random.Generator) -> None:
        """Find the matches."""
        count = len(self.place)
        self._try(np.arange(count), *np.divmod(random.choice(self.source, count), self.shape[1]))
        for step in STEPS:
            for down, right in ((0, step), (step, 0), (0, -step), (-step, 0)):
                self._take_over(down, right)
            down, right = random.integers(-SEARCH * step, SEARCH * step + 1, (2, count))
            rows, columns = np.divmod(self.at, self.shape[1])
            self._try(np.arange(count), rows + down, columns + right)

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
        apart = np.einsum("nk,nk->n", difference, difference)
        nearer = apart < self.apart[chosen]
        self.at[chosen[nearer]], self.apart[chosen[nearer]] = at[nearer], apart[nearer]

    def drawn(self) -> Float32Array:
        """What the matches show together, float32 [H, W, 3]; beyond the hole's patches it is zero."""
        unit = float(np.percentile(self.apart, 75)) + 1e-3
        weight = (np.exp(-self.apart / (2 * unit)) * DOUBT**-self.depth + 1e-8).astype(np.float32)
        spread = np.zeros((4 * SIDE**2, self.number.size), np.float32)
        spread[: -(SIDE**2), self.place] = (self.patches[self.at] * weight[:, None]).T
        spread[-(SIDE**2) :, self.place] = weight
        size = self.shape[0] + 2 * RADIUS, self.shape[1] + 2 * RADIUS
        total = F.fold(torch.from_numpy(spread)[None], size, SIDE)[0].numpy()[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
        return np.ascontiguousarray((total[:3] / np.maximum(total[3:], 1e-12)).transpose(1, 2, 0))
