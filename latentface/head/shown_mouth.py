"""The interior of the mouth that a photo shows: where the lips are apart, and its exact border.

The fit is accurate to a few pixels; the exact border is found by colour, which differs between lips and interior. In a
photo without colours the fit is all there is if lips are as bright as teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array, Pixels
from latentface.head.field import Scene
from latentface.head.geometry import Box, brightness
from latentface.ops.warp import read

THIN = 0.022  # inter-ocular distances: a thinner gap between the lips is not kept
APART = 0.14  # least difference between teeth and lips in redness and brightness
SHADOW = 0.75  # of the brightness of lips: the dark corners of the mouth beside a row of teeth have less
RED = 0.6  # twice the largest redness of teeth; in warm light, where lips have more than 1, this share of theirs
RED_APART = 0.75  # of the redness of lips, between lips that are apart as the fit has them
LARGER = 1.5  # times the area in which the fitted lips are apart: a larger interior is a shadow on closed lips
OPEN = 0.05  # inter-ocular distances: lips that the fit has this far apart are open
WIDE = 0.1  # the same: lips so far apart are open even if all between them looks like lip, as a tongue does
CORE = 0.06  # the same: so far from the fitted lips the inside of such a mouth surely is no lip
COLOURLESS = 0.08  # span of the redness around the mouth of photos whose colours tell nothing
TWO = 0.15  # inter-ocular distances: so high two rows of teeth are, and what is between them
LOWER = 0.4  # of the light of upper teeth: lower ones have more, and what is darker below a dark line are none
PALE = 0.8  # of the light of lips: what is darker between them are no teeth
SPIKE = (0.25, 0.02)  # inter-ocular distances: teeth have no part that is narrower and sticks out farther
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
    lips = np.concatenate([model.loops["mouth"], model.landmarks[48:68]])
    box = Box.around(before[lips, :2], 0.15 * unit, *scene.size).or_pixel
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
        if apart > WIDE or (apart > OPEN and _is_colourless(photo[box.slices])):
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
        redness = _light_and_redness(photo)[1][:, columns]
        lit &= redness < PINK + (teeth[0] - teeth[1:].mean()) / (teeth.mean() + 10)
    below = (rows >= top + SHADED * unit) & (rows < end)  # the upper edge of teeth lies in the lip's shadow
    first = np.where(below & ~lit, rows, end).min(axis=0)
    last = np.where(below & lit & (rows > first), rows, end).min(axis=0)
    height = last - first
    roof, floor = np.where(first <= top + SHADED * unit + 1, top, first), last
    open_ = height > DARK * unit
    if open_.any():
        roof, floor = (np.interp(columns, columns[open_], edge[open_]) for edge in (roof, floor))
    roof, floor = (_smooth(edge, SMOOTH * unit) for edge in (roof, floor))
    every = np.arange(mask.shape[1])
    return Cavity(
        _usual(height), *(np.float32(np.interp(every, columns, edge)) for edge in (roof, np.minimum(floor, end), end))
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


def inside_lips(photo: Pixels, inside: BoolArray, lower_lip: BoolArray, unit: float) -> BoolArray:
    """The visible interior between the lips, given a fit that is accurate to a few pixels, by its difference from lips.

    Within a rim, lip pixels inside the fitted opening are removed, and teeth outside it are added. The result is empty
    if everything in the opening looks like lip, since the lips are then closed.
    """
    depth = ndimage.distance_transform_edt(inside)
    if not inside.any():
        return inside
    outside = ndimage.distance_transform_edt(~inside)
    light, red = _light_and_redness(photo)
    white = light - 1.5 * red
    core = inside & (white >= np.quantile(white[inside], 0.6))
    under = np.where(lower_lip.any(), lower_lip, (outside > 0.03 * unit) & (outside < 0.10 * unit))
    lip, tooth = (np.array([np.median(2 * red[m]), np.median(light[m])]) for m in (under, core))
    size = float(np.square(tooth - lip).sum())
    reddest = RED * max(1.0, lip[0]) if usual_height(inside) < OPEN * unit else max(RED, RED_APART * lip[0])
    if size < APART**2 or (tooth[0] > reddest and tooth[1] > 0.6 * lip[1]):
        return np.zeros_like(inside)
    # 0 for lip, 1 for the interior: teeth by their colour, the rest by its darkness
    score = (np.stack([2 * red, light], axis=2) - lip) @ (tooth - lip) / size
    dark = np.where(outside < 2, (0.5 * lip[1] - light) / (0.2 * lip[1]), 0)
    pale = 2 * red < 0.5 * (lip[0] + tooth[0])
    bright = (light > 0.8 * tooth[1]) | (pale & (light > 0.55 * tooth[1]))  # neither shadow nor beard
    score = np.where(inside | bright, score, np.minimum(score, 0.5))
    signed = np.where(inside, depth, -outside) / unit
    evidence = 3 * (np.clip(np.maximum(score, dark), -0.3, 1.1) - 0.5) + 0.6 * np.clip(signed / 0.06, -1.5, 1)
    ring = (signed < -0.10) & (signed > -0.15)
    hairy = (score[ring] > 0.6).mean() > 0.1 if ring.any() else False  # a grey beard looks like teeth
    found = (ndimage.gaussian_filter(evidence, 0.6) > 0) & (signed > (-1.5 / unit if hairy else -0.09))
    labels, _ = ndimage.label(ndimage.binary_opening(found))
    wide = [
        k + 1 for k, piece in enumerate(ndimage.find_objects(labels)) if piece[1].stop - piece[1].start > 0.3 * unit
    ]
    kept = np.isin(labels, wide)  # a row of teeth, not a highlight on a lip
    shadow = inside & (light < SHADOW * lip[1])
    smooth = _without_spikes(smooth_edges(_to_corners(kept, inside, shadow), 0.025 * unit), unit)
    if ndimage.distance_transform_edt(smooth).max() < max(1.2, THIN * unit):
        return np.zeros_like(inside)
    return smooth


def _without_spikes(mask: BoolArray, unit: float) -> BoolArray:
    """A row of teeth without the highlights of lips that touch it, which are narrower than any bend of its edges."""
    columns = np.flatnonzero(mask.any(axis=0))
    made: BoolArray = mask.copy()
    if not len(columns):
        return made
    width, over = max(1, round(SPIKE[0] * unit)), SPIKE[1] * unit
    top, end = column_edges(mask, columns)
    rows = np.arange(len(mask))[:, None]
    low = ndimage.grey_closing(top, width, mode="nearest") - over
    high = ndimage.grey_opening(end, width, mode="nearest") + over
    made[:, columns] &= (rows >= low) & (rows < high)
    return made


def _light_and_redness(photo: Pixels) -> tuple[Float32Array, Float32Array]:
    """Brightness and redness, hardly smoothed, [H, W] each; grey has none, and white a brightness of 1."""
    colours = ndimage.gaussian_filter(photo.astype(np.float32), (0.6, 0.6, 0))
    light = brightness(colours) / 255
    redness = (colours[..., 0] - colours[..., 1:].mean(axis=2)) / (255 * light + 10)
    return np.asarray(light, np.float32), np.asarray(redness, np.float32)


def _is_colourless(photo: Pixels) -> bool:
    """Whether lips, skin and teeth have one colour, as in black-and-white or tinted photos."""
    return float(np.ptp(np.quantile(_light_and_redness(photo)[1], [0.05, 0.95]))) < COLOURLESS


def _to_corners(mask: BoolArray, inside: BoolArray, shadow: BoolArray) -> BoolArray:
    """Extend a row of teeth to the corners of the mouth, where it has no distinct colour in the shadow."""
    columns, all_ = (np.flatnonzero(each.any(axis=0)) for each in (mask, inside))
    made: BoolArray = mask.copy()
    if not len(columns):
        return made
    rows = np.arange(len(mask))[:, None]
    for start, corner in ((columns[0], all_[0]), (columns[-1], all_[-1])):
        beyond = np.arange(corner, start) if corner < start else np.arange(start + 1, corner + 1)
        if len(beyond):
            share = (beyond - start) / (corner - start)
            middle = np.flatnonzero(inside[:, corner]).mean()
            edges = np.flatnonzero(mask[:, start])[[0, -1]]
            top, end = ((1 - share) * edge + share * middle for edge in edges)
            made[:, beyond] |= shadow[:, beyond] | (rows >= top - 0.5) & (rows <= end + 0.5)
    return made


def usual_height(mask: BoolArray) -> float:
    """How high a mask [H, W] is in the middle half of its columns, in pixels."""
    heights = mask.sum(axis=0)
    heights = heights[heights > 0]
    return _usual(heights) if len(heights) else 0.0


def _usual(heights: npt.NDArray[Any]) -> float:
    """The median of the middle half of some columns' heights, [N], N > 0."""
    quarter = len(heights) // 4
    return float(np.median(heights[quarter : len(heights) - quarter]))


def column_edges(mask: BoolArray, columns: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The first row of a mask [H, W] in each of some columns, none of which is empty, and the one after the last."""
    return mask[:, columns].argmax(axis=0), len(mask) - mask[::-1, columns].argmax(axis=0)


def smooth_edges(mask: BoolArray, width: float) -> BoolArray:
    """Fill each column between its top and bottom, both smoothed along the row, so that edges are not ragged."""
    columns = np.flatnonzero(mask.any(axis=0))
    made = np.zeros_like(mask)
    if not len(columns):
        return made
    every = np.arange(columns[0], columns[-1] + 1)
    edges = column_edges(mask, columns)
    top, end = (_smooth(np.interp(every, columns, edge), max(width, 0.8)) for edge in edges)
    rows = np.arange(len(mask))[:, None] + 0.5
    made[:, every] = (rows > top) & (rows < end)
    return made


def _smooth(edge: npt.NDArray[Any], width: float) -> npt.NDArray[Any]:
    """An edge, a row for each column, smoothed along it over a width in pixels, outliers left out."""
    wide = 2 * max(1, round(width)) + 1
    made: npt.NDArray[Any] = ndimage.gaussian_filter1d(
        ndimage.median_filter(edge, wide, mode="nearest"), width, mode="nearest"
    )
    return made


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
