"""What parts of the lips uncover: where it is, what of it the photo itself shows, and a plain filling for the rest.

Teeth that the photo shows are kept: what lies above the bite stays with the skull, what lies below goes with the jaw,
and the lips slide over both. The rest is the head's own teeth, gums and tongue, shaded by depth in the photo's light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array, Pixels
from latentface.head.field import Field, Scene
from latentface.head.geometry import Box, ramp
from latentface.ops.raster import normals, rasterise, sample
from latentface.ops.warp import read

PARTS = ("gums_upper", "gums_lower", "tongue", "teeth_upper", "teeth_lower")
COLOURS = {  # linear in the photo's values, where a white surface in its light has 1
    "gums_upper": (0.62, 0.34, 0.34), "gums_lower": (0.60, 0.33, 0.33), "tongue": (0.62, 0.32, 0.31),
    "teeth_upper": (0.92, 0.89, 0.82), "teeth_lower": (0.87, 0.83, 0.75),
}  # fmt: skip
SLIVER = 0.002  # squared inter-ocular distances: smaller openings are edges of the raster and no mouth
THIN = 0.022  # inter-ocular distances: a thinner gap between the photo's lips shows nothing worth keeping
APART = 0.14  # teeth and lips differ by so much in redness and light
RED = 0.6  # twice the redness that no tooth has
FRINGE, RIM = 0.028, 0.10  # the same: teeth shine into so much of a lip, and so much of it is squeezed to hide that
ROW = (0.5, 0.65)  # in such a share of an open mouth's columns the photo must show its inside, to be kept
GUMS = (0.07, 0.11)  # the same: over the teeth that the photo shows, gums begin between so high and so high
GUM = np.array([0.80, 0.52, 0.52], np.float32)  # what gums have of the light of teeth
BESIDE, CORNER = (0.12, 0.25), 0.12  # the same: so far a row of teeth goes on to the sides, and how fast it gets darker
LINE, DARK = 0.008, 0.38  # half the thickness of the line between closed lips, and the light it takes
FALL = {"tongue": 1.1, "gums_lower": 1.6}  # how fast light falls behind the lips, an inter-ocular distance
CAVITY = np.array([0.085, 0.03, 0.025], np.float32)


@dataclass(frozen=True)
class Opening:
    """The opened mouth in a photo that was moved.

    Attributes:
        box: where in the photo; all arrays are of its size.
        shape: 1 inside the lips, 0 outside, before smoothing their edge, [H, W].
        own: what the photo itself shows of it, moved to its place, [H, W, 3], 0 to 255.
        kept: how far that is to be kept, 0 to 1, [H, W], if any of it is.
        row: whether any of it is, 0 to 1: a few teeth of the photo's in a painted row would stand out.
        light: the photo's value of a white surface in the face's light, [3].
        teeth: the value of the teeth that the photo shows, or None if it shows none, [3].
        amount: how far lips and jaw moved against the skull, from 0 (not at all: the photo's pixels serve) to 1.
    """

    box: Box
    shape: Float32Array
    own: Float32Array
    kept: Float32Array
    row: float
    light: Float32Array
    teeth: Float32Array | None
    amount: float


def affine(after: Float32Array, before: Float32Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The matrix and offset that take places after a change to those before, by least squares."""
    ones = np.concatenate([after[:, :2], np.ones((len(after), 1))], axis=1).astype(np.float64)
    solution = np.linalg.lstsq(ones, before[:, :2].astype(np.float64), rcond=None)[0]
    return solution[:2].T, solution[2]


@dataclass(frozen=True)
class Shown:
    """What a photo itself shows of the mouth's inside.

    Attributes:
        box: where. mask: there or not, [H, W].
        teeth: the median of its brighter part, as far as there is any, [3].
        gap: where the head has the mouth open, [H, W]. middle: the row that parts upper from lower lip, [W].
        bite: the row at which upper teeth end and what goes with the jaw begins; infinity if all are upper teeth.
        apart: how far the lips are apart in the middle of the mouth, in pixels, both rows of teeth included.
    """

    box: Box
    mask: BoolArray
    teeth: Float32Array | None
    gap: BoolArray
    middle: Float32Array
    bite: float
    apart: float

    @cached_property
    def _soft(self) -> Float32Array:
        soft: Float32Array = ndimage.gaussian_filter(self.mask.astype(np.float32), 0.7)
        return soft

    @cached_property
    def _around(self) -> BoolArray:
        around: BoolArray = ndimage.binary_dilation(self.gap, iterations=2)
        return around

    def is_inside(self, places: Float32Array) -> BoolArray:
        """Whether the photo shows the mouth's inside at places [..., 2], with a contour smoother than pixels are."""
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
    def _away(self) -> Float32Array:
        """The nearest place without mouth inside, seen from each pixel's, and how far it lies in it, [H, W, 3]."""
        outside = ndimage.distance_transform_edt(~self.mask)
        depth = outside - ndimage.distance_transform_edt(self.mask) + np.where(self.mask, 0.5, -0.5)
        smooth = ndimage.gaussian_filter(depth, 1.0)
        slope = np.stack([ndimage.sobel(smooth, axis) for axis in (1, 0)], axis=2)
        slope /= np.maximum(np.linalg.norm(slope, axis=2, keepdims=True), 1e-6)
        away: Float32Array = np.dstack([slope, depth]).astype(np.float32)
        return away

    def off_teeth(self, places: Float32Array, unit: float) -> tuple[Float32Array, BoolArray]:
        """Places of lips [..., 2] moved off the mouth's inside, whose light mixes into the pixels beside it.

        The rim of the lips is squeezed for it. Also returned is which places moved, [...].
        """
        if not self.mask.any():
            return places, np.zeros(places.shape[:-1], bool)
        away = read(self._away, places - self._corner)
        first, rim = max(2.0, FRINGE * unit), max(6.0, RIM * unit)
        near: BoolArray = away[..., 2] < rim
        depth = np.maximum(away[near, 2], -2 * first)
        push = np.maximum(first * (1 - depth / rim), 0) - np.minimum(depth, 0)
        moved = places.copy()
        moved[near] += away[near, :2] * push[:, None]
        return moved, near

    def is_lip(self, places: Float32Array, upper: BoolArray) -> BoolArray:
        """Whether the photo shows lip at places [..., 2] where the head has the mouth open: the upper or the lower."""
        inside = self.box.read(self._around, places, False) & ~self.is_inside(places)
        columns = np.clip(np.rint(places[..., 0] - self.box.left).astype(int), 0, self.box.width - 1)
        above = places[..., 1] - self.box.top < self.middle[columns]
        lip: BoolArray = inside & (above == upper)
        return lip


def find_shown(photo: Pixels, scene: Scene) -> Shown:
    """Look between the lips of a photo."""
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
    mask = inside_lips(photo[box.slices], layer == 1, red & (layer != 1), unit)
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    gap, apart = layer == 1, height_in_middle(mask)
    bite = _bite(photo[box.slices], mask) + box.top
    below = mask & (np.arange(box.top, box.bottom)[:, None] >= bite)
    if below.sum() < 0.25 * mask.sum():  # a piece of the lower teeth goes with the lower lip
        mask, bite = mask & ~below, np.inf
    middle = _middle(photo[box.slices], mask if mask.any() else gap, bool(mask.any()))
    return Shown(box, mask, _teeth(photo[box.slices], depth, unit), gap, middle, bite, apart)


def height_in_middle(share: npt.NDArray[np.generic]) -> float:
    """How high an opening [H, W] of shares 0 to 1 is over the middle third of its columns, in pixels; 0 for none."""
    heights = np.asarray(share, np.float64).sum(axis=0)
    columns = np.flatnonzero(heights > 0.5)
    if not len(columns):
        return 0.0
    first, last = columns[0], columns[-1] + 1
    third = (last - first) // 3
    return float(heights[first + third : last - third].mean())


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
    light = np.where(kept, photo[:, columns].mean(axis=2), 0).sum(axis=1)[rows] / kept.sum(axis=1)[rows]
    k = 2 + int(np.argmin(light[2:-2]))
    above, below = light[:k].max(), light[k:].max()
    two = above > max(1.7 * light[k], 0.8 * light.max()) and below > 1.4 * light[k]
    return float(rows[k]) if two else np.inf


def _middle(photo: Pixels, region: BoolArray, shown: bool) -> Float32Array:
    """For each column the row that parts the lips: the middle of what lies between, or the dark line of closed ones."""
    rows = np.arange(len(region))[:, None]
    count = region.sum(axis=0)
    if shown:
        found = (region * rows).sum(axis=0) / np.maximum(count, 1)
    else:
        dark = ndimage.gaussian_filter(photo.mean(axis=2), (0.7, 1.5))
        found = np.where(region, dark, np.inf).argmin(axis=0).astype(float)
    columns = np.flatnonzero(count)
    if not len(columns):
        return np.full(region.shape[1], len(region) / 2, np.float32)
    line = np.interp(np.arange(region.shape[1]), columns, found[columns])
    smooth: Float32Array = ndimage.gaussian_filter1d(line, 1.5).astype(np.float32)
    return smooth


def find_opening(
    photo: Pixels, scene: Scene, shown: Shown, after: Float32Array, field: Field, light: Float32Array
) -> Opening | None:
    """The opening of the mouth after the change, or None if the lips are closed."""
    box = lips_box(scene, after)
    inside = np.zeros((box.height, box.width), np.float32)
    here, there = box.shared(field.box)
    inside[here] = field.layer[there] == 1
    if not inside.any():
        return None
    own, kept, row = _own(photo, scene, shown, after, box, inside)
    return Opening(box, inside, own, kept, row, light, shown.teeth, moved_lips(scene, after))


def lips_box(scene: Scene, after: Float32Array) -> Box:
    """The lips of a head that moved, and a margin; it may be empty."""
    lips = np.concatenate([scene.model.loops["mouth"], scene.model.landmarks[48:68]])
    return Box.around(after[lips, :2], 0.06 * scene.unit, *scene.size)


def closed_line(scene: Scene, after: Float32Array, box: Box) -> Float32Array:
    """The light that is left along the line where lips meet that the photo shows apart, 1 elsewhere, [H, W]."""
    points = after[scene.model.landmarks[60:68], :2].astype(np.float64)
    ends = 0.8 * points[[0, 4]] + 0.2 * points[[1, 3]]  # corners are dark by themselves
    middles = 0.5 * (points[[1, 2, 3]] + points[[7, 6, 5]])
    line = np.concatenate([ends[:1], middles, ends[1:]])
    t = np.linspace(0, 4, 65)
    curve = np.stack([np.interp(t, np.arange(5), line[:, k]) for k in (0, 1)], axis=1)
    curve = ndimage.gaussian_filter1d(curve, 5, axis=0, mode="nearest")
    away = np.linalg.norm(box.places()[..., None, :] - curve.astype(np.float32), axis=3)
    along = np.abs(away.argmin(axis=2) / 32 - 1)
    shade = np.exp(-0.5 * np.square(away.min(axis=2) / max(0.75, LINE * scene.unit)))
    left: Float32Array = (1 - DARK * shade * (1 - ramp(along, 0.5, 1.2))).astype(np.float32)
    return left


def moved_lips(scene: Scene, after: Float32Array) -> float:
    """How far lips and jaw moved against the skull, `Opening.amount`."""
    lips = np.concatenate([scene.model.loops["mouth"], scene.model.landmarks[48:68]])
    skull, jaw = scene.teeth
    matrix, offset = affine(after[skull], scene.before[skull])
    moving = np.concatenate([lips, jaw])
    apart = after[moving, :2] @ matrix.T + offset - scene.before[moving, :2]
    return float(ramp(np.linalg.norm(apart, axis=1).max(), 0.15, 0.6))


def inside_lips(photo: Pixels, inside: BoolArray, lower_lip: BoolArray, unit: float) -> BoolArray:
    """What a photo shows between its lips, where a fit has it up to a few pixels: by what differs from lips.

    Lip that the fit lets in is left out, and teeth that it takes for lip are let in, both along a rim. Nothing is
    left where what lies between looks like lip all over: the lips are closed.
    """
    depth = ndimage.distance_transform_edt(inside)
    if not inside.any():
        return inside
    outside = ndimage.distance_transform_edt(~inside)
    colours = ndimage.gaussian_filter(photo.astype(np.float32), (0.6, 0.6, 0))
    light = colours.mean(axis=2) / 255
    red = (colours[..., 0] - colours[..., 1:].mean(axis=2)) / (255 * light + 10)
    white = light - 1.5 * red
    core = inside & (white >= np.quantile(white[inside], 0.6))
    under = np.where(lower_lip.any(), lower_lip, (outside > 0.03 * unit) & (outside < 0.10 * unit))
    lip, tooth = (np.array([np.median(2 * red[m]), np.median(light[m])]) for m in (under, core))
    size = float(np.square(tooth - lip).sum())
    if size < APART**2 or (tooth[0] > RED and tooth[1] > 0.6 * lip[1]):
        return np.zeros_like(inside)
    # 0 for lip, 1 for what is inside: teeth by their colour, what lies behind them by its dark
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
    kept = np.isin(labels, wide)  # a row of teeth, and no gleam on a lip
    smooth = smooth_edges(_to_corners(kept, inside), 0.025 * unit)
    if ndimage.distance_transform_edt(smooth).max() < max(1.2, THIN * unit):
        return np.zeros_like(inside)
    return smooth


def _to_corners(mask: BoolArray, inside: BoolArray) -> BoolArray:
    """A row of teeth that goes on to the corners of the mouth: in their shadow it has no colour of its own."""
    columns, all_ = (np.flatnonzero(each.any(axis=0)) for each in (mask, inside))
    made = mask.copy()
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
            made[:, beyond] |= (rows >= top - 0.5) & (rows <= end + 0.5)
    return made


def smooth_edges(mask: BoolArray, width: float) -> BoolArray:
    """All between the top and the bottom of each column, both smoothed along: a row of teeth has no ragged edge."""
    columns = np.flatnonzero(mask.any(axis=0))
    made = np.zeros_like(mask)
    if not len(columns):
        return made
    every = np.arange(columns[0], columns[-1] + 1)
    edges = mask[:, columns].argmax(axis=0), len(mask) - mask[::-1, columns].argmax(axis=0)
    wide = 2 * max(1, round(width)) + 1
    top, end = (
        ndimage.gaussian_filter1d(
            ndimage.median_filter(np.interp(every, columns, edge), wide, mode="nearest"),
            max(width, 0.8),
            mode="nearest",
        )
        for edge in edges
    )
    rows = np.arange(len(mask))[:, None] + 0.5
    made[:, every] = (rows > top) & (rows < end)
    return made


def _own(
    photo: Pixels, scene: Scene, shown: Shown, after: Float32Array, box: Box, inside: Float32Array
) -> tuple[Float32Array, Float32Array, float]:
    """What the photo shows of the mouth's inside, moved, and how far to keep it: `Opening.own`, `kept` and `row`."""
    if not shown.mask.any():
        return np.zeros((box.height, box.width, 3), np.float32), np.zeros((box.height, box.width), np.float32), 0.0
    places, unit = box.places(), scene.unit
    colours, weights = [], []
    for sign, vertices in zip((1, -1), scene.teeth, strict=True):
        matrix, offset = affine(after[vertices], scene.before[vertices])
        source = (places @ matrix.T + offset).astype(np.float32)
        side = ramp(np.clip(sign * (shown.bite - source[..., 1]), -unit, unit), -0.01 * unit, 0.01 * unit)
        weights.append(ramp(shown.share(source), 0.10, 0.34) * side)
        colours.append(sample(photo, source))
    there = (inside > 0.5) & (np.maximum(*weights) > 0.5)
    columns = there.any(axis=0).sum() / max(int((inside > 0.5).any(axis=0).sum()), 1)
    _grow(weights[0], colours[0], unit)
    upper, lower = weights
    share = (upper / np.maximum(upper + lower, 1e-6))[..., None]
    mixed = colours[0] * share + colours[1] * (1 - share)
    return mixed.astype(np.float32), np.maximum(upper, lower).astype(np.float32), float(ramp(columns, *ROW))


def _grow(weight: Float32Array, colour: Float32Array, unit: float) -> None:
    """Let a row of upper teeth go on upwards, into gums, and to both sides, into the cheeks' shadow; in place.

    Args:
        weight: how far the photo's own teeth are kept, [H, W].
        colour: what they look like, [H, W, 3].
        unit: the inter-ocular distance in pixels.
    """
    firm = weight > 0.95
    columns = np.flatnonzero(firm.any(axis=0))
    if not len(columns):
        return
    height, width = weight.shape
    wide = 2 * max(1, round(0.03 * unit)) + 1
    tops, ends = firm[:, columns].argmax(axis=0), height - firm[::-1, columns].argmax(axis=0) - 1
    tops, ends = (ndimage.median_filter(edge, wide, mode="nearest") for edge in (tops, ends))
    across = np.abs(np.arange(width)[:, None] - columns)
    nearest, away = across.argmin(axis=1), across.min(axis=1)
    rows = np.arange(height)[:, None]
    top, end = tops[nearest] + 1, np.maximum(ends[nearest] - 1, tops[nearest] + 1)
    source = colour[np.clip(rows, top, end), columns[nearest][None]]
    above = np.maximum(top - rows, 0) / unit
    gum = ramp(above, *GUMS)[..., None]
    grown = source * (1 - gum) + source * GUM * gum
    grown = grown * (np.exp(-away / (CORNER * unit)))[None, :, None] * np.exp(-2.0 * above)[..., None]
    fresh = np.where(rows <= end + 0.5, 1 - ramp(away / unit, *BESIDE)[None], 0)
    replaced = fresh > weight
    colour[replaced] = grown[replaced]
    weight[replaced] = fresh[replaced]


def _teeth(photo: Pixels, depth: Float32Array, unit: float) -> Float32Array | None:
    """The value of the brighter half of what the photo shows between its lips."""
    pixels = photo[depth > max(1.5, 0.015 * unit)].astype(np.float32)
    if len(pixels) < (0.12 * unit) ** 2:
        return None
    bright = pixels.mean(axis=1)
    chosen = pixels[bright >= np.quantile(bright, 0.6)]
    return np.asarray(np.median(chosen, axis=0), np.float32)


def dark(opening: Opening) -> Float32Array:
    """A filling of the whole opening for those who paint over it, [H, W, 3], 0 to 255: the dark behind all."""
    return np.broadcast_to(CAVITY * opening.light, (*opening.shape.shape, 3))


def fill(opening: Opening, scene: Scene, after: Float32Array) -> Float32Array:
    """A plain filling of the whole opening, [H, W, 3], 0 to 255: the head's own mouth, in the photo's light."""
    box, scale, unit, model = opening.box, 2, scene.unit, scene.model
    parts = PARTS if opening.teeth is None else tuple(name for name in PARTS if name != "teeth_upper")
    triangles: Int64Array = model.part(*parts)
    shades = np.concatenate([np.tile(np.asarray(COLOURS[n], np.float32), (len(model.parts[n]), 1)) for n in parts])
    placed = after.copy()
    placed[:, :2] = (placed[:, :2] - [box.left, box.top] + 0.5) * scale - 0.5
    seen = rasterise(placed, triangles, box.height * scale, box.width * scale, cull=True)
    facing = seen.interpolate(normals(after, triangles))
    lit = 0.55 + 0.45 * np.clip(0.9 * facing[..., 2] - 0.3 * facing[..., 1], 0, 1)
    front = float(after[model.landmarks[60:68], 2].max())
    behind = np.maximum(front - seen.depth, 0) / unit
    # light falls on the tongue; teeth at the sides stand in the cheeks' shadow
    rate = np.concatenate([np.full(len(model.parts[n]), FALL.get(n, 3.2), np.float32) for n in parts])
    sunk = np.exp(-rate[np.maximum(seen.index, 0)] * np.maximum(behind - 0.10, 0))
    colours = shades[np.maximum(seen.index, 0)] * (lit * sunk)[..., None]
    mixed = np.where(seen.covered[..., None], np.maximum(colours, CAVITY), CAVITY)
    mixed = mixed.reshape(box.height, scale, box.width, scale, 3).mean(axis=(1, 3))
    mixed = ndimage.gaussian_filter(mixed, (0.010 * unit, 0.010 * unit, 0))
    # the lips shade what lies behind them, the upper one most
    edge = ndimage.distance_transform_edt(np.pad(opening.shape, 1))[1:-1, 1:-1] / unit
    under = np.cumsum(opening.shape, axis=0) / unit
    mixed = mixed * ((0.65 + 0.35 * ramp(edge, 0.0, 0.04)) * (0.82 + 0.18 * ramp(under, 0.0, 0.10)))[..., None]
    white = opening.light if opening.teeth is None else np.minimum(opening.teeth / 0.85, 255)
    filling: Float32Array = np.clip(mixed * white, 0, 255).astype(np.float32)
    return filling
