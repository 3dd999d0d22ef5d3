"""What a moving head uncovers: the background of a photo, continued behind the people in front of it.

Near what is seen of it, as far as heads move, by patches of it: each hidden place is given the place whose
surroundings fit (`patches`), on a small copy, from the rim inwards and from coarse to fine, and the photo's own pixels
from there, so that stripes go on and cloth stays as sharp as it is. Farther behind people, and where the background is
plain, smoothly: a patch from where the light is a little different would leave a step.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array, Pixels
from latentface.head.geometry import bands, blur_known, on_blocks, ramp
from latentface.io.images import reduced
from latentface.ops.warp import read
from latentface.patches import PatchMatches

_Number = TypeVar("_Number", np.float32, np.int64)

MEANT = 0.25  # a pixel of the small copy of which so much is background has the background's colour
WHOLE = 0.999  # the same for one that patches may show
RADIUS = 3  # pixels of the small copy around the middle of a patch
ROUNDS = (3, 4)  # searches on the small copy and on half of it; coarser ones see no whole patch of narrow things
TRUST = 1.3  # by how much less a guess counts in comparisons for each pixel of the copy that it lies deeper
UNLIKE = (20.0, 50.0)  # levels by which a patch differs from what is known: over these it gives way to smooth colours
FADE = 0.3  # of the reach: over so much of it patches pass into the smooth colours
AROUND = 2.0  # pixels of the small copy beside a rim in which a background is looked at
PLAIN = (2.5, 6.0)  # deviations of the levels there up to which it is plain, and from which on it is not
RIM = 14  # pixels of the small copy from the rim of a hole: so deep the misfit counts
PEAK, SPREAD = 7, 5.0  # of them, over which the largest misfit counts, and over which it is smoothed
PATCHED = 0.9  # so plain a background needs no patches
FEWEST = 100  # patches that are seen, or none is shown


def continue_background(
    picture: Pixels, opacity: Pixels, step: int, reach: float, moving: BoolArray
) -> tuple[Pixels, Float32Array]:
    """Continue a picture's background over everything else.

    Args:
        picture: uint8.
        opacity: how much of each pixel is background, in 255ths, uint8 [H, W].
        step: the small copy has a pixel for each step x step ones.
        reach: as far from the background, in the picture's pixels, heads uncover it.
        moving: where they do at all, on the small copy, [h, w].

    Returns:
        The continued picture, and how unlike the background the patches are that continue it there: levels, on the
        small copy, [h, w].
    """
    known = opacity == opacity.max()
    weight = reduced(255 * known.astype(np.uint8), step).astype(np.float32) / np.float32(255)
    small = reduced(picture * known[..., None], step) / np.maximum(weight, np.float32(MEANT))[..., None]
    smooth = _spread(small, weight >= min(MEANT, weight.max()))
    hole = weight < WHOLE
    deep = ndimage.distance_transform_edt(hole).astype(np.float32)
    depth = deep * np.float32(step / reach)
    seen = np.dstack([reduced(picture, step), reduced(opacity, step) / np.float32(255)]).astype(np.float32)
    plain = find_plain(small, hole)
    shifts, misfit = find_shifts(smooth, seen, hole, hole & moving & (depth < 1) & (plain < PATCHED))
    misfit = np.where(shifts.any(axis=-1), misfit, np.float32(UNLIKE[1])) * (1 - plain)
    sure = (1 - ramp(depth, 1 - FADE, 1)) * (1 - ramp(misfit, *UNLIKE)) * moving * (1 - plain)
    made = np.array(picture)
    for band in bands(len(made)):
        rows, columns = np.nonzero(opacity[band] < 255)
        rows += band.start
        places = on_blocks(np.stack([columns, rows], axis=1).astype(np.float32), step)
        behind = read(smooth, places)
        trust = read(sure, places)
        near = np.flatnonzero(trust > 0)
        patched, found = _look_up(picture, rows[near], columns[near], places[near], shifts, step)
        behind[near] += found * trust[near, None] * (patched - behind[near])
        share = opacity[rows, columns, None] / np.float32(255)
        made[rows, columns] = np.rint(behind + share * (picture[rows, columns] - behind)).clip(0, 255)
    return made, spread_misfit(misfit, hole & (deep < RIM))


def spread_misfit(misfit: Float32Array, near: BoolArray) -> Float32Array:
    """How unlike patches are in the part of a hole near its rim, levels [h, w]: the most around, spread to all."""
    if not near.any():
        return np.zeros_like(misfit)
    most = ndimage.maximum_filter(misfit * near, PEAK)[..., None]
    smooth, weight = blur_known(most, near, SPREAD)
    rows, columns = ndimage.distance_transform_edt(weight < 0.05, return_distances=False, return_indices=True)
    made: Float32Array = ndimage.gaussian_filter(smooth[rows, columns, 0], SPREAD / 2)
    return made


def find_shifts(
    guess: Float32Array, seen: Float32Array, hole: BoolArray, wanted: BoolArray
) -> tuple[Int64Array, Float32Array]:
    """From each wanted place of a hole to the one to show there, rows and columns, and how unlike these two are.

    Zero where nothing is found: int64 [H, W, 2], and levels, float32 [H, W].

    Args:
        guess: float32 [H, W, 3], 0 to 255, with smooth colours in the hole.
        seen: the picture's colours, and how much of them is background, 0 to 1, [H, W, 4]: what is shown must suit
            those at the hole's rim, which are mixed.
        hole: bool [H, W].
        wanted: the part of the hole to fill.
    """
    copies = [_Copy(guess, seen, hole, wanted)]
    for _ in ROUNDS[1:]:
        copies.append(copies[-1].halved())
    random = np.random.default_rng(0)
    for coarser, copy, rounds in zip((None, *copies[:0:-1]), reversed(copies), reversed(ROUNDS), strict=True):
        if coarser is None:
            copy.fill_from_rim(random)
        else:
            copy.take_over(coarser)
        copy.fill(random, rounds)
    return copies[0].shifts, copies[0].misfit


def find_plain(colours: Float32Array, hole: BoolArray) -> Float32Array:
    """How plain a background is at the rim of the nearest hole, 0 to 1, [H, W].

    Args:
        colours: float32 [H, W, 3], known outside the hole.
        hole: bool [H, W].
    """
    mean, weight = blur_known(colours, ~hole, AROUND)
    squares, _ = blur_known(np.square(colours - mean), ~hole, AROUND)
    plain = (1 - ramp(np.sqrt(squares.mean(axis=2)), *PLAIN)) * (weight > 0.05)
    rows, columns = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
    made: Float32Array = ndimage.gaussian_filter(plain[rows, columns], AROUND)
    return made


class _Copy:
    """A hole that is filled in one copy of a picture; the arguments are those of `find_shifts`."""

    def __init__(self, guess: Float32Array, seen: Float32Array, hole: BoolArray, wanted: BoolArray) -> None:
        self.drawn, self.seen, self.hole, self.wanted = guess, seen, hole, wanted
        self.depth = ndimage.distance_transform_edt(hole).astype(np.float32)
        self.shifts, self.misfit = np.zeros((*hole.shape, 2), np.int64), np.zeros(hole.shape, np.float32)

    def halved(self) -> _Copy:
        """The same in half the size."""
        hole, wanted = (_halved(each[..., None].astype(np.float32))[..., 0] > 0 for each in (self.hole, self.wanted))
        return _Copy(_halved(self.drawn), _halved(self.seen), hole, wanted)

    def take_over(self, coarser: _Copy) -> None:
        """Begin from what is drawn in a copy of half the size."""
        self.shifts = 2 * _doubled(coarser.shifts, self.hole.shape)
        self.drawn = np.where(self.wanted[..., None], _doubled(coarser.drawn, self.hole.shape), self.drawn)

    def fill_from_rim(self, random: np.random.Generator) -> None:
        """Draw the hole from its rim inwards, each pixel by those that are known or drawn already."""
        for layer in range(1, 1 + math.ceil(self.depth[self.wanted].max(initial=0))):
            self._draw(random, self.wanted & (self.depth <= layer), (self.depth < layer).astype(np.float32))

    def fill(self, random: np.random.Generator, rounds: int) -> None:
        """Draw all of the hole anew, so many times."""
        for _ in range(rounds):
            self._draw(random, self.wanted, TRUST**-self.depth)

    def _draw(self, random: np.random.Generator, part: BoolArray, trust: Float32Array) -> None:
        mixed = self.drawn + self.seen[..., 3:] * (self.seen[..., :3] - self.drawn)
        self.drawn = np.where(self.hole[..., None], mixed, self.drawn)
        matches = PatchMatches(self.drawn, self.hole, RADIUS, part, trust)
        if len(matches.source) >= FEWEST and len(matches.place):
            matches.search(random, self.shifts)
            self.shifts, self.misfit = matches.shifts, matches.misfit
            self.drawn = np.where(part[..., None], matches.drawn(), self.drawn)


def _spread(colours: Float32Array, certain: BoolArray) -> Float32Array:
    """Colours [h, w, 3] spread smoothly from where they are certain."""
    filled: Float32Array = colours.copy()
    width = 1.0
    while not certain.all() and width < 4 * max(certain.shape):
        spread, weight = blur_known(filled, certain, width)
        reached = ~certain & (weight > 0.02)
        filled[reached] = spread[reached]
        certain, width = certain | reached, 1.5 * width
    return filled


def _look_up(
    picture: Pixels, rows: Int64Array, columns: Int64Array, places: Float32Array, shifts: Int64Array, step: int
) -> tuple[Float32Array, Float32Array]:
    """What the shifts of the four pixels of the small copy around each place show there, [N, 3], and their weight."""
    first = np.floor(places).astype(np.int64)
    found, total = np.zeros((len(rows), 3), np.float32), np.zeros((len(rows), 1), np.float32)
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cell = first + corner
        column, row = (cell[:, k].clip(0, shifts.shape[1 - k] - 1) for k in (0, 1))
        away = step * shifts[row, column]
        weight = (1 - np.abs(places - cell)).prod(axis=1, keepdims=True) * away.any(axis=1, keepdims=True)
        weight = weight.astype(np.float32)
        from_row = (rows + away[:, 0]).clip(0, len(picture) - 1)
        from_column = (columns + away[:, 1]).clip(0, picture.shape[1] - 1)
        found += weight * picture[from_row, from_column]
        total += weight
    mean: Float32Array = found / np.maximum(total, np.float32(1e-6))
    return mean, np.minimum(total, np.float32(1))


def _halved(values: Float32Array) -> Float32Array:
    """The mean of each 2 x 2 of values [H, W, C], the last row and column repeated where they are alone."""
    even = np.pad(values, ((0, len(values) % 2), (0, values.shape[1] % 2), (0, 0)), mode="edge")
    made: Float32Array = even.reshape(len(even) // 2, 2, even.shape[1] // 2, 2, -1).mean(axis=(1, 3))
    return made


def _doubled(values: NDArray[_Number], shape: tuple[int, ...]) -> NDArray[_Number]:
    """Values [h, w, C] repeated in both directions, of which a shape [H, W] is cut."""
    return values.repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]
