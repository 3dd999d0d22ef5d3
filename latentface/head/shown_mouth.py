"""What a photo shows between its lips: where they are apart, rows of teeth, and the cavity behind these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.head.field import Scene
from latentface.head.geometry import Box, brightness
from latentface.head.inside_lips import OPEN, inside_lips, is_colourless, light_and_redness
from latentface.head.mask_edges import column_edges, smooth_edge, smooth_edges, usual_height, usual_value
from latentface.ops.warp import read

LARGER = 1.5  # times the area in which the fitted lips are apart: a larger interior is a shadow on closed lips
WIDE = 0.1  # the same: lips so far apart are open even if all between them looks like lip, as a tongue does
CORE = 0.06  # the same: so far from the fitted lips the inside of such a mouth surely is no lip
TWO = 0.15  # inter-ocular distances: so high two rows of teeth are, and what is between them
LOWER = 0.4  # of the light of upper teeth: lower ones have more, and what is darker below a dark line are none
PALE = 0.8  # of the light of lips: what is darker between them are no teeth
LIT, SHADED = 0.5, 0.035  # of the light of teeth: the dark behind them has less, but so has their upper edge, so high
TONGUE, PINK = 0.3, 0.15  # the same: mouths so far open have no gums below, and tongues are so much redder than teeth
DARK = 0.04  # inter-ocular distances: a column is seen down to the tongue if so much of it is no tooth
SMOOTH = 0.03  # inter-ocular distances: over so many columns the edge of teeth is smoothed
FRINGE, RIM = 0.028, 0.10  # inter-ocular distances: lip lit by teeth, and lip compressed to hide it


class Kept(NamedTuple):
    """How far what a photo shows of its mouth is kept, each 0 to 1.

    Attributes:
        row: its row of teeth: only one that is worth it.
        cavity: what is below upper teeth, drawn out: only if the mouth is seen down to the tongue.
    """

    row: float
    cavity: float


@dataclass(frozen=True, eq=False)
class Cavity:
    """What a photo shows below upper teeth.

    Attributes:
        height: how high it is dark or red there, down to lower teeth or the lip, in pixels.
        roof, floor, end: the rows at which upper teeth end, lower ones begin, and the interior ends, for each column,
            [W]; without lower teeth the last two are the same.
    """

    height: float
    roof: Float32Array
    floor: Float32Array
    end: Float32Array


@dataclass(frozen=True)
class Shown:
    """What a photo itself shows of the mouth's inside.

    Attributes:
        box: where. mask: there or not, [H, W].
        teeth: the median of its brighter part, as far as there is any, [3].
        gap: where the mouth of the fitted head is open, [H, W]. middle: the row between upper and lower lip, [W].
        bite: the row at which upper teeth end and what goes with the jaw begins; infinity if all are upper teeth.
        cavity: what is below upper teeth.
    """

    box: Box
    mask: BoolArray
    teeth: Float32Array | None
    gap: BoolArray
    middle: Float32Array
    bite: float
    cavity: Cavity

    @cached_property
    def height(self) -> float:
        """How high the mask is in the middle half of its columns, in pixels."""
        return usual_height(self.mask)

    @cached_property
    def _soft(self) -> Float32Array:
        soft: Float32Array = ndimage.gaussian_filter(self.mask.astype(np.float32), 0.7)
        return soft

    @cached_property
    def _around(self) -> BoolArray:
        around: BoolArray = ndimage.binary_dilation(self.gap, iterations=2)
        return around

    def is_inside(self, places: Float32Array) -> BoolArray:
        """Whether the photo shows the interior at places [..., 2], with a contour of subpixel smoothness."""
        if not self.mask.any():
            return np.zeros(places.shape[:-1], bool)
        inside: BoolArray = self.share(places) > 0.35
        return inside

    def share(self, places: Float32Array) -> Float32Array:
        """The mask at places [..., 2], its edge smoothed."""
        return read(self._soft, places - self._corner, bounded=True)

    @cached_property
    def _corner(self) -> Float32Array:
        return np.array([self.box.left, self.box.top], np.float32)

    @cached_property
    def _depth(self) -> Float32Array:
        """How far each pixel lies outside the interior, or inside it, where it is negative, [H, W]."""
        outside = ndimage.distance_transform_edt(~self.mask)
        depth = outside - ndimage.distance_transform_edt(self.mask) + np.where(self.mask, 0.5, -0.5)
        signed: Float32Array = depth.astype(np.float32)
        return signed

    @cached_property
    def _outwards(self) -> Float32Array:
        """The direction from each pixel out of the interior, [H, W, 2]."""
        smooth = ndimage.gaussian_filter(self._depth.astype(np.float64), 1.0)
        slope = np.stack([ndimage.sobel(smooth, axis) for axis in (1, 0)], axis=2)
        slope /= np.maximum(np.linalg.norm(slope, axis=2, keepdims=True), 1e-6)
        outwards: Float32Array = slope.astype(np.float32)
        return outwards

    def is_beside(self, places: Float32Array, unit: float) -> BoolArray:
        """Whether lips at places [..., 2] are so near to the interior that its light mixes into theirs."""
        if not self.mask.any():
            return np.zeros(places.shape[:-1], bool)
        beside: BoolArray = read(self._depth, places - self._corner) < max(4.0, RIM * unit)
        return beside

    def off_teeth(self, places: Float32Array, unit: float) -> Float32Array:
        """Places of lips [..., 2], moved away from the interior if they lie beside it; so the rim is compressed."""
        if not self.mask.any():
            return places
        at = places - self._corner
        first, rim = max(1.2, FRINGE * unit), max(4.0, RIM * unit)
        depth = np.clip(read(self._depth, at), -2 * first, rim)
        push = first * (1 - depth / rim) - np.minimum(depth, 0)
        return places + read(self._outwards, at) * push[..., None]

    def is_lip(self, places: Float32Array, upper: BoolArray) -> BoolArray:
        """Whether the photo shows lip at places [..., 2] where the head has the mouth open: the upper or the lower."""
        inside = self.box.read(self._around, places, False) & ~self.is_inside(places)
        columns = np.clip(np.rint(places[..., 0] - self.box.left).astype(int), 0, self.box.width - 1)
        above = places[..., 1] - self.box.top < self.middle[columns]
        lip: BoolArray = inside & (above == upper)
        return lip


def find_shown(photo: Pixels, scene: Scene) -> Shown:
    """Find the interior of the mouth in a photo."""
    model, before, unit = scene.model, scene.before, scene.unit
    box = Box.around(before[scene.lips, :2], 0.15 * unit, *scene.size).or_pixel
    layer = np.full((box.height, box.width), -1, np.int8)
    here, there = box.shared(scene.box)
    layer[here] = scene.layer[there]
    red = np.zeros_like(layer, bool)
    middles = 0.5 * before[model.landmarks[[56, 57, 58]], :2] + 0.5 * before[model.landmarks[[65, 66, 67]], :2]
    for x, y in np.rint(middles - [box.left, box.top]).astype(int):
        reach = max(1, round(0.02 * unit))
        red[max(y - reach, 0) : y + reach + 1, max(x - 2 * reach, 0) : x + 2 * reach + 1] = True
    gap = layer == 1
    mask = inside_lips(photo[box.slices], gap, red & ~gap, unit)
    if mask.sum() > LARGER * gap.sum():
        mask = np.zeros_like(mask)
    apart = usual_height(gap) / unit
    if not mask.any():
        if apart > WIDE or (apart > OPEN and is_colourless(photo[box.slices])):
            mask = smooth_edges(gap, 0.025 * unit)
    elif apart > WIDE:
        core = ndimage.distance_transform_edt(gap) > CORE * unit
        mask = smooth_edges(mask | core, 0.025 * unit)
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    teeth = _teeth(photo[box.slices], depth, unit)
    two = teeth is not None and usual_height(mask) > TWO * unit
    bite = _bite(photo[box.slices], mask) + box.top if two else np.inf
    below = mask & (np.arange(box.top, box.bottom)[:, None] >= bite)
    if below.sum() < 0.25 * mask.sum():  # a piece of the lower teeth goes with the lower lip
        mask, bite = mask & ~below, np.inf
    middle = _middle(photo[box.slices], mask if mask.any() else gap, bool(mask.any()))
    return Shown(box, mask, teeth, gap, middle, bite, _find_cavity(photo[box.slices], mask, teeth, unit))


def _bite(photo: Pixels, mask: BoolArray) -> float:
    """The row of a dark line between two rows of teeth, or infinity if there is but one."""
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(columns):
        return np.inf
    columns = columns[(columns > np.quantile(columns, 0.3)) & (columns < np.quantile(columns, 0.7))]
    kept = mask[:, columns]
    rows = np.flatnonzero(kept.sum(axis=1) > 0.15 * len(columns))
    if len(rows) < 6:
        return np.inf
    light = np.where(kept, brightness(photo[:, columns]), 0).sum(axis=1)[rows] / kept.sum(axis=1)[rows]
    k = 2 + int(np.argmin(light[2:-2]))
    above, below = light[:k].max(), light[k:].max()
    two = above > max(1.7 * light[k], 0.8 * light.max()) and below > max(1.4 * light[k], LOWER * above)
    return float(rows[k]) if two else np.inf


def _find_cavity(photo: Pixels, mask: BoolArray, teeth: Float32Array | None, unit: float) -> Cavity:
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(columns):
        return Cavity(0.0, *np.zeros((3, mask.shape[1]), np.float32))
    top, end = (edge.astype(np.float64) for edge in column_edges(mask, columns))
    rows = np.arange(len(mask))[:, None]
    cold = ndimage.gaussian_filter(photo[..., 1:].mean(axis=2, dtype=np.float32), 0.6)[:, columns]  # tongues are red
    lit = cold > LIT * (255.0 if teeth is None else teeth[1:].mean())
    if teeth is not None and usual_height(mask) > TONGUE * unit:
        redness = light_and_redness(photo)[1][:, columns]
        lit &= redness < PINK + (teeth[0] - teeth[1:].mean()) / (teeth.mean() + 10)
    below = (rows >= top + SHADED * unit) & (rows < end)  # the upper edge of teeth lies in the lip's shadow
    first = np.where(below & ~lit, rows, end).min(axis=0)
    last = np.where(below & lit & (rows > first), rows, end).min(axis=0)
    height = last - first
    roof, floor = np.where(first <= top + SHADED * unit + 1, top, first), last
    open_ = height > DARK * unit
    if open_.any():
        roof, floor = (np.interp(columns, columns[open_], edge[open_]) for edge in (roof, floor))
    roof, floor = (smooth_edge(edge, SMOOTH * unit) for edge in (roof, floor))
    every = np.arange(mask.shape[1])
    return Cavity(
        usual_value(height),
        *(np.float32(np.interp(every, columns, edge)) for edge in (roof, np.minimum(floor, end), end)),
    )


def _middle(photo: Pixels, region: BoolArray, shown: bool) -> Float32Array:
    """For each column, the row between the lips: the middle of the interior, or the dark line of closed lips."""
    rows = np.arange(len(region))[:, None]
    count = region.sum(axis=0)
    if shown:
        found = (region * rows).sum(axis=0) / np.maximum(count, 1)
    else:
        dark = ndimage.gaussian_filter(brightness(photo), (0.7, 1.5))
        found = np.where(region, dark, np.inf).argmin(axis=0).astype(float)
    columns = np.flatnonzero(count)
    if not len(columns):
        return np.full(region.shape[1], len(region) / 2, np.float32)
    line = np.interp(np.arange(region.shape[1]), columns, found[columns])
    smooth: Float32Array = ndimage.gaussian_filter1d(line, 1.5).astype(np.float32)
    return smooth


def _teeth(photo: Pixels, depth: Float32Array, unit: float) -> Float32Array | None:
    """The value of the brighter half of what the photo shows between its lips; None if that is no row of teeth."""
    pixels = photo[depth > max(1.5, 0.015 * unit)].astype(np.float32)
    if len(pixels) < (0.12 * unit) ** 2:
        return None
    bright = pixels.mean(axis=1)
    teeth = np.median(pixels[bright >= np.quantile(bright, 0.6)], axis=0)
    away = ndimage.distance_transform_edt(depth == 0)
    lips = photo[(away > max(1.0, 0.02 * unit)) & (away < max(3.0, 0.08 * unit))]
    if teeth.mean() < PALE * np.median(lips.mean(axis=1)):
        return None
    return np.asarray(teeth, np.float32)
