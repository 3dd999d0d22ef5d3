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
from latentface.head.geometry import Box, normals, ramp
from latentface.head.model import HeadModel
from latentface.ops.raster import rasterise, sample

PARTS = ("gums_upper", "gums_lower", "tongue", "teeth_upper", "teeth_lower")
COLOURS = {  # linear in the photo's values, where a white surface in its light has 1
    "gums_upper": (0.62, 0.34, 0.34), "gums_lower": (0.60, 0.33, 0.33), "tongue": (0.62, 0.32, 0.31),
    "teeth_upper": (0.92, 0.89, 0.82), "teeth_lower": (0.87, 0.83, 0.75),
}  # fmt: skip
THIN = 0.022  # inter-ocular distances: a thinner gap between the photo's lips shows nothing worth keeping
APART = 0.14  # teeth and lips differ by so much in redness and light
RED = 0.6  # twice the redness that no tooth has
ROOTS = 0.10  # the same: so far teeth that the photo shows go on upwards under a lip that is lifted
FALL = {"tongue": 1.1, "gums_lower": 1.6}  # how fast light falls behind the lips, an inter-ocular distance
CAVITY = np.array([0.085, 0.03, 0.025], np.float32)


@dataclass(frozen=True)
class Opening:
    """The opened mouth in a photo that was moved.

    Attributes:
        box: where in the photo; all arrays are of its size.
        shape: 1 inside the lips, 0 outside, before smoothing their edge, [H, W].
        part: what of the head lies there: an index into PARTS, or -1 for the dark behind, [H, W].
        depth: how far behind the lips it lies, in inter-ocular distances, [H, W].
        own: what the photo itself shows of it, moved to its place, [H, W, 3], 0 to 255.
        kept: how far that is to be kept, 0 to 1, [H, W].
        light: the photo's value of a white surface in the face's light, [3].
        teeth: the value of the teeth that the photo shows, or None if it shows none, [3].
        amount: how far lips and jaw moved against the skull, from 0 (not at all: the photo's pixels serve) to 1.
    """

    box: Box
    shape: Float32Array
    part: npt.NDArray[np.int8]
    depth: Float32Array
    own: Float32Array
    kept: Float32Array
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
        inside: BoolArray = self.share(places) > 0.35
        return inside

    def share(self, places: Float32Array) -> Float32Array:
        """The mask at places [..., 2], its edge smoothed."""
        at = np.moveaxis(places - [self.box.left, self.box.top], -1, 0)[::-1]
        share: Float32Array = ndimage.map_coordinates(self._soft, at, order=1, mode="constant")
        return share

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
    model = scene.model
    lips = np.concatenate([model.loops["mouth"], model.landmarks[48:68]])
    box = Box.around(after[lips, :2], 0.06 * scene.unit, *photo.shape[:2])
    inside = np.zeros((box.height, box.width), np.float32)
    here, there = box.shared(field.box)
    inside[here] = field.layer[there] == 1
    if not inside.any():
        return None
    own, kept = _own(photo, scene, shown, after, box)
    part, depth = _parts(model, after, box, scene.unit)
    return Opening(box, inside, part, depth, own, kept, light, shown.teeth, _amount(scene, lips, after))


def _amount(scene: Scene, lips: Int64Array, after: Float32Array) -> float:
    skull = np.unique(scene.model.part("teeth_upper"))
    matrix, offset = affine(after[skull], scene.before[skull])
    moving = np.concatenate([lips, np.unique(scene.model.part("teeth_lower"))])
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
    # 0 for lip, 1 for what is inside
    score = (np.stack([2 * red, light], axis=2) - lip) @ (tooth - lip) / size
    rim = max(2.0, 0.06 * unit)
    bright = light > 0.85 * tooth[1]  # neither shadow nor beard
    dark = light < 0.5 * lip[1]
    found = inside & ((score > 0.4) | dark | (depth > rim)) | ((score > 0.6) & bright & (outside < rim) & (outside > 0))
    labels, _ = ndimage.label(ndimage.binary_opening(found))
    wide = [
        k + 1 for k, piece in enumerate(ndimage.find_objects(labels)) if piece[1].stop - piece[1].start > 0.3 * unit
    ]
    kept = np.isin(labels, wide)  # a row of teeth, and no gleam on a lip
    between = np.maximum.accumulate(kept, axis=0) & np.maximum.accumulate(kept[::-1], axis=0)[::-1]
    smooth: BoolArray = ndimage.gaussian_filter(between.astype(np.float32), max(0.8, 0.015 * unit)) > 0.5
    if ndimage.distance_transform_edt(smooth).max() < max(1.2, THIN * unit):
        return np.zeros_like(inside)
    return smooth


def _own(photo: Pixels, scene: Scene, shown: Shown, after: Float32Array, box: Box) -> tuple[Float32Array, Float32Array]:
    """What the photo shows of the mouth's inside, moved, and how far to keep it."""
    places, unit = box.places(), scene.unit
    colours, weights = [], []
    for sign, part in ((1, "teeth_upper"), (-1, "teeth_lower")):
        vertices = np.unique(scene.model.part(part))
        matrix, offset = affine(after[vertices], scene.before[vertices])
        source = (places @ matrix.T + offset).astype(np.float32)
        side = ramp(np.clip(sign * (shown.bite - source[..., 1]), -unit, unit), -0.01 * unit, 0.01 * unit)
        weights.append(ramp(shown.share(source), 0.10, 0.34) * side)
        colours.append(sample(photo, source))
    _grow_roots(weights[0], colours[0], round(ROOTS * unit))
    upper, lower = weights
    share = (upper / np.maximum(upper + lower, 1e-6))[..., None]
    mixed = colours[0] * share + colours[1] * (1 - share)
    return mixed.astype(np.float32), np.maximum(upper, lower).astype(np.float32)


def _grow_roots(weight: Float32Array, colour: Float32Array, reach: int) -> None:
    """Let each column's topmost teeth go on upwards, in place."""
    firm = weight > 0.95
    top = np.where(firm.any(axis=0), firm.argmax(axis=0), -1)
    for column in np.flatnonzero(top > 0):
        row = top[column]
        rows = np.arange(max(row - reach, 0), row)
        fresh = 1 - ramp((row - rows).astype(np.float32), 0.6 * reach, reach)
        replaced = fresh > weight[rows, column]
        colour[rows[replaced], column] = colour[row, column] * (0.97 ** (row - rows[replaced]))[:, None]
        weight[rows[replaced], column] = fresh[replaced]


def _parts(model: HeadModel, after: Float32Array, box: Box, unit: float) -> tuple[npt.NDArray[np.int8], Float32Array]:
    triangles = model.part(*PARTS)
    part = np.concatenate([np.full(len(model.parts[name]), k, np.int8) for k, name in enumerate(PARTS)])
    placed = after - np.array([box.left, box.top, 0], np.float32)
    seen = rasterise(placed, triangles, box.height, box.width, cull=True)
    front = float(after[model.landmarks[60:68], 2].max())
    depth = np.where(seen.covered, np.maximum(front - seen.depth, 0) / unit, 1.0)
    return np.where(seen.covered, part[seen.index], np.int8(-1)), depth.astype(np.float32)


def _teeth(photo: Pixels, depth: Float32Array, unit: float) -> Float32Array | None:
    """The value of the brighter half of what the photo shows between its lips."""
    pixels = photo[depth > max(1.5, 0.015 * unit)].astype(np.float32)
    if len(pixels) < (0.12 * unit) ** 2:
        return None
    bright = pixels.mean(axis=1)
    chosen = pixels[bright >= np.quantile(bright, 0.6)]
    return np.asarray(np.median(chosen, axis=0), np.float32)


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
