"""Wrinkles of expressions, which the mesh is too coarse for, rendered as shading in the photo's light.

Facial muscles fold the skin perpendicular to their pull (Ekman and Friesen list the wrinkles of each action unit). Here
wrinkles are grooves in a height map over the front of the mean head, driven by expression shapes; when a shape grows,
its grooves perturb the normals of the skin, and the photo is multiplied by the ratio of the shading, with less light at
the bottom of a groove. Lengths of the map are centimetres of the mean head: x to its left, y up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.head.field import Field, Scene
from latentface.head.geometry import NEIGHBOURS, Box, brightness, ramp
from latentface.head.light import TINT
from latentface.ops.warp import read

TEXEL = 0.04  # centimetres
LEFT, RIGHT, BOTTOM, TOP = -8.0, 8.0, -9.0, 12.0  # of the map
SHAPE = (len(np.arange(BOTTOM, TOP, TEXEL)), len(np.arange(LEFT, RIGHT, TEXEL)))
SHOULDER, BULGE = 3.0, 0.42  # skin bulges beside a groove: width and height relative to the groove
ABOVE = 0.15  # part of the light that comes from above in any photo
HIDDEN = 4.5  # share of the light that a groove blocks, per centimetre of depth
LIMITS = (0.45, 1.3)  # of the ratio
LEAST = 0.15  # least shading of a groove's side, as a part of the face's light
SMOOTH, ROUGH, YOUNG = 0.008, 0.03, 0.6  # deviations of the skin's texture; the depth of folds in smooth skin
#: How many times narrower skin gets where folds begin to be smoothed, and from where on they are wholly; by how many
#: centimetres, and how much of the skin around is squeezed, inversely, for that.
SQUEEZED, BROAD, NEAR = (1.2, 1.7), 0.14, 3.0
PATCH = 0.03  # inter-ocular distances: the relief is what is finer than this
STRANGE = (0.35, 0.7)  # log ratio to the surrounding skin beyond which a pixel is considered hair


@dataclass(frozen=True)
class Fold:
    """A group of grooves and the shapes that drive it.

    Attributes:
        lines: polylines of (x, y) on the left half of the head; they are mirrored to the right.
        width: deviation of a groove's profile. depth: at weight 1, in centimetres.
        shapes: the weight of each ARKit shape, by its name without a side.
        across: the grooves cross the midline, and both sides' shapes drive both.
    """

    lines: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    depth: float
    shapes: Mapping[str, float]
    across: bool = False


FOLDS = (
    Fold((((0.65, 4.2), (0.85, 5.2), (0.95, 6.8)),), 0.19, 0.15, {"browDown": 0.6}),
    Fold((((1.35, 4.9), (1.6, 6.2)),), 0.22, 0.07, {"browDown": 0.6}),
    Fold((((0.0, 4.0), (0.5, 4.15), (0.95, 4.5)),), 0.16, 0.07, {"noseSneer": 0.5, "browDown": 0.3}, across=True),
    Fold((((0.55, 3.55), (1.2, 3.15)), ((0.6, 3.0), (1.25, 2.5)),), 0.10, 0.07, {"noseSneer": 0.9}),
    Fold(
        (((0.0, 7.15), (1.3, 7.3), (2.4, 7.2)), ((0.0, 7.95), (1.5, 8.15), (2.8, 8.1)),
         ((0.0, 8.85), (1.2, 9.0), (2.3, 9.0))),
        0.19, 0.10, {"browInnerUp": 0.8}, across=True,
    ),
    Fold(
        (((2.2, 7.25), (3.6, 7.5), (5.0, 7.0)), ((2.4, 8.15), (3.8, 8.25), (5.2, 7.8)), ((2.2, 9.0), (3.9, 9.0))),
        0.19, 0.085, {"browOuterUp": 0.8},
    ),
    Fold(
        (((1.75, -0.5), (2.35, -1.3), (2.85, -2.3), (3.25, -3.5)),), 0.20, 0.13,
        {"noseSneer": 0.5, "mouthSmile": 0.6, "mouthUpperUp": 0.45, "mouthStretch": 0.3, "mouthFrown": 0.25},
    ),
    Fold((((2.8, -3.75), (3.05, -4.5), (3.1, -5.4)),), 0.17, 0.09, {"mouthFrown": 0.7, "mouthStretch": 0.4}),
    Fold((((3.5, -2.3), (3.85, -3.4), (3.6, -4.6)),), 0.2, 0.08, {"mouthStretch": 0.8}),
    Fold(
        (((5.0, 3.6), (5.7, 4.1), (6.3, 4.5)), ((5.05, 3.3), (5.8, 3.3), (6.5, 3.4)),
         ((4.9, 3.0), (5.6, 2.5), (6.2, 2.2))),
        0.10, 0.06, {"cheekSquint": 0.7, "eyeSquint": 0.35},
    ),
    Fold((((1.9, 2.55), (2.7, 2.2), (3.6, 2.15), (4.6, 2.5)),), 0.13, 0.06, {"cheekSquint": 0.5, "eyeSquint": 0.6}),
    Fold((((0.0, -5.0), (0.9, -5.05), (1.6, -5.35)),), 0.18, 0.09, {"mouthShrugLower": 0.8}, across=True),
    Fold(
        (((0.35, -5.7), (0.5, -5.8)), ((0.95, -5.75), (1.05, -5.9)), ((0.65, -6.2), (0.75, -6.3)),
         ((0.15, -6.3), (0.2, -6.4)), ((1.2, -6.3), (1.3, -6.35))),
        0.13, 0.06, {"mouthShrugLower": 0.8},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class FaceMap:
    """Maps pixels of a moved photo to the front of the mean head.

    Attributes:
        part: the pixels, as an index of arrays of the field's box.
        at: column and row of each in the maps of folds, [h, w, 2].
        normals: of the moved skin, [h, w, 3].
        skin: whether it is skin, [h, w].
        likeness: 1 where the photo looks like skin there, 0 for hair, [h, w].
    """

    part: tuple[slice, slice]
    at: Float32Array
    normals: Float32Array
    skin: BoolArray
    likeness: Float32Array

    @classmethod
    def of(cls, scene: Scene, field: Field, likeness: Float32Array) -> FaceMap | None:
        """The map for the skin after a motion, or None if none is seen; likeness is the result of `find_likeness`."""
        seen = field.layer == 0
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if not len(rows):
            return None
        part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        flat = (scene.model.neutral[:, :2] - np.array([LEFT, BOTTOM], np.float32)) / np.float32(TEXEL)
        raster = field.raster.cut(*part)
        at, normals = (raster.interpolate(scene.surface.closed(each)) for each in (flat, field.normals))
        corner = np.array([field.box.left - scene.box.left, field.box.top - scene.box.top], np.float32)
        source = Box.of(part).places() + corner + field.shift[part]
        return cls(part, at, normals, seen[part], read(likeness, source))


#: Folds of the photo itself that must fade when a smile is removed: a polyline, the width around it in centimetres,
#: and the shapes whose decrease smooths it.
FADING = (
    (
        ((2.1, -0.6), (2.45, -1.3), (2.9, -2.2), (3.25, -3.3), (3.35, -4.2)),
        0.5,
        {"mouthSmile": 0.7, "cheekSquint": 0.3},
    ),
    (((1.9, 2.4), (2.9, 2.0), (4.0, 2.0), (5.0, 2.6)), 0.35, {"cheekSquint": 0.8}),
)
MOST_FADED = 0.75
MOST_CHANGE = 0.5  # of the logarithm of colours
BAND = (0.012, 0.11)  # inter-ocular distances: size of folds, between skin texture and cheeks


@lru_cache(maxsize=1)
def _fading_maps() -> tuple[Windowed, ...]:
    """Maps of the regions where folds of the photo fade, over the left half of the head, 0 to 1."""
    y, x = np.meshgrid(np.arange(BOTTOM, TOP, TEXEL), np.arange(LEFT, RIGHT, TEXEL), indexing="ij")
    made = np.zeros((len(FADING), *x.shape), np.float32)
    for k, (line, width, _) in enumerate(FADING):
        points = np.array(line)
        t = np.linspace(0, len(points) - 1, 80)
        curve = np.stack([np.interp(t, np.arange(len(points)), points[:, j]) for j in (0, 1)], axis=1)
        near = (x > 0) & (np.abs(y - curve[:, 1].mean()) < 4)
        away = np.hypot(x[near][:, None] - curve[:, 0], y[near][:, None] - curve[:, 1]).min(axis=1)
        made[k][near] = 1 - ramp(away, 0.6 * width, 2 * width)
    return _windowed(made)


def find_fading(names: tuple[str, ...], change: Float64Array) -> Float32Array | None:
    """How far folds of the photo fade when the shapes of a smile decrease, [H, W] from 0 to 1; None if none fades.

    A wrinkled nose creates the same folds, so they stay.
    """
    grown = dict(zip(names, np.clip(change, 0, 1.5), strict=True))
    fallen = dict(zip(names, np.clip(-change, 0, 1.5), strict=True))
    total, found = np.zeros(SHAPE, np.float32), False
    for (values, window), (_, _, shapes) in zip(_fading_maps(), FADING, strict=True):
        for side, mirrored in (("Left", 1), ("Right", -1)):
            weight = (
                1.6 * sum(share * fallen[name + side] for name, share in shapes.items()) - grown["noseSneer" + side]
            )
            weight = min(weight, MOST_FADED)
            if weight > 0.02:
                half, found = total[:, ::mirrored], True  # a view
                half[window] = np.maximum(half[window], weight * values)
    return total if found else None


def fade(fading: Float32Array, scene: Scene, face: FaceMap, moved: Float32Array) -> None:
    """Remove folds from the moved photo [H, W, 3], in place: detail between skin texture and the shape of cheeks."""
    weight = read(fading, face.at, bounded=True) * face.skin * ramp(face.normals[..., 2], 0.1, 0.35)
    weight = ndimage.gaussian_filter(weight, BAND[0] * scene.unit)  # behind the nose it jumps
    rows, columns = np.flatnonzero(weight.any(axis=1)), np.flatnonzero(weight.any(axis=0))
    if not len(rows):
        return
    reach = int(3 * BAND[1] * scene.unit) + 1
    spans = [slice(max(each[0] - reach, 0), each[-1] + reach + 1) for each in (rows, columns)]
    part = spans[0], spans[1]
    here = moved[face.part][part]  # a view
    skin = face.skin[part] * face.likeness[part]
    values = np.log(np.maximum(here, 0) + 4)
    fine, coarse = (_smoothed(values, skin, width * scene.unit) for width in BAND)
    change = coarse - fine
    largest = np.abs(change).max(axis=2)  # of all colours alike, since each by itself would change their hue
    change *= (weight[part] * skin * MOST_CHANGE / np.maximum(largest, MOST_CHANGE))[..., None]
    here[:] = (here + 4) * np.exp(change) - 4


def _smoothed(values: Float32Array, share: Float32Array, width: float) -> Float32Array:
    """Values [H, W, 3] smoothed by a Gaussian, of which each pixel counts by its share [H, W]."""
    total = ndimage.gaussian_filter(values * share[..., None], (width, width, 0), truncate=2.5)
    made: Float32Array = total / np.maximum(ndimage.gaussian_filter(share, width, truncate=2.5), 1e-3)[..., None]
    return made


#: A window of a map, and the window's position; the map is 0 outside it.
Windowed = tuple[Float32Array, tuple[slice, slice]]


def _windowed(maps: Float32Array) -> tuple[Windowed, ...]:
    """Each of the maps [F, H, W], cropped to the window outside of which it is 0."""
    made = []
    for values in maps:
        rows, columns = (np.flatnonzero(values.any(axis=axis)) for axis in (1, 0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        made.append((np.ascontiguousarray(values[window]), window))
    return tuple(made)


@lru_cache(maxsize=8)
def _smooth_maps(width: float) -> tuple[Windowed, ...]:
    """The maps of `_maps`, smoothed by a Gaussian of a width in texels."""
    return _windowed(ndimage.gaussian_filter(_maps(), (0, width, width)))


@lru_cache(maxsize=1)
def _maps() -> Float32Array:
    """Height maps [F, H, W] of all folds at weight 1 on the head's left half, in centimetres, negative in grooves."""
    y, x = np.meshgrid(np.arange(BOTTOM, TOP, TEXEL), np.arange(LEFT, RIGHT, TEXEL), indexing="ij")
    made = np.zeros((len(FOLDS), *x.shape), np.float32)
    for k, fold in enumerate(FOLDS):
        for j, line in enumerate(fold.lines):
            _dig(made[k], x, y, np.array(line), fold, phase=1.7 * k + 2.3 * j)
    return made


def _dig(height: Float32Array, x: Float64Array, y: Float64Array, line: Float64Array, fold: Fold, phase: float) -> None:
    """Add one groove along a smooth curve through points [N, 2], in place; skin has no straight folds."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    count = max(8, int(way[-1] / TEXEL))
    t = np.linspace(0, way[-1], count)
    curve = np.stack([np.interp(t, way, line[:, k]) for k in (0, 1)], axis=1)
    curve = ndimage.gaussian_filter1d(curve, count / 10, axis=0, mode="nearest")
    along = t / way[-1]
    curve[:, 1] += 0.35 * fold.width * np.sin(7.3 * along * max(way[-1], 1.0) / 2 + phase)
    ends = ramp(along, -0.02, 0.35) if not fold.across else np.ones(count, np.float32)
    strength = ends * (1 - ramp(along, 0.55, 1.03)) * (0.85 + 0.15 * np.sin(5.1 * along + 2 * phase))
    reach = 4 * SHOULDER * fold.width
    low, high = curve.min(axis=0) - reach, curve.max(axis=0) + reach
    near = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    away = np.hypot(x[near][:, None] - curve[:, 0], y[near][:, None] - curve[:, 1])
    nearest = away.argmin(axis=1)
    distance, depth = away[np.arange(len(away)), nearest] / fold.width, fold.depth * strength[nearest]
    groove = np.exp(-0.5 * distance**2)
    swell = BULGE * np.exp(-0.5 * (distance / SHOULDER) ** 2)
    height[near] += (depth * (swell - groove)).astype(np.float32)


def find_relief(names: tuple[str, ...], change: Float64Array, scale: float) -> Float32Array | None:
    """The height map of a change of expression, [H, W] centimetres; None if it creates no fold.

    Args:
        names: the shapes, by ARKit name.
        change: of their weights; decreases are ignored.
        scale: pixels per centimetre; detail finer than a pixel is smoothed away.
    """
    grown = dict(zip(names, np.clip(change, 0, 1.5), strict=True))
    weights = np.zeros((len(FOLDS), 2))  # left, right
    for k, fold in enumerate(FOLDS):
        for name, share in fold.shapes.items():
            sides = [name + side for side in ("Left", "Right")] if name + "Left" in grown else [name, name]
            weights[k] += [share * grown[each] for each in sides]
        if fold.across:
            weights[k] = weights[k].mean()
    weights = np.minimum(weights, 1.25)
    if weights.max() < 0.02:
        return None
    relief = np.zeros(SHAPE, np.float32)
    maps = _smooth_maps(_half_pixel(scale))
    for (values, window), (left, right) in zip(maps, weights.astype(np.float32), strict=True):
        if left:
            relief[window] += left * values
        if right:
            relief[:, ::-1][window] += right * values
    return relief


def _half_pixel(scale: float) -> float:
    """Half a pixel in texels, to two digits and half a texel at least."""
    return round(max(0.5 / (TEXEL * scale), 0.5), 2)


def roughness(photo: Pixels, scene: Scene) -> float:
    """Factor for the depth of folds from the skin's own texture: smooth skin folds less deeply."""
    width = max(PATCH * scene.unit, 1.0)
    values = np.log1p(brightness(photo[scene.box.slices]))
    fine = values - ndimage.gaussian_filter(values, width)
    cheek = scene.before[scene.model.landmarks[[1, 2, 14, 15, 27, 28]], :2] * 0.5
    cheek += scene.before[scene.model.landmarks[[31, 31, 35, 35, 21, 22]], :2] * 0.5
    found = []
    for point in cheek:
        rows, columns = np.rint(point[::-1] - [scene.box.top, scene.box.left]).astype(int)
        reach = max(2, round(0.1 * scene.unit))
        patch = fine[max(rows - reach, 0) : rows + reach, max(columns - reach, 0) : columns + reach]
        if patch.size:
            found.append(1.48 * float(np.median(np.abs(patch))))
    rough = float(np.median(found)) if found else SMOOTH
    return float(YOUNG + (1 - YOUNG) * ramp(rough, SMOOTH, ROUGH))


def crease(relief: Float32Array, light: Float64Array, scene: Scene, face: FaceMap) -> tuple[BoolArray, Float32Array]:
    """The shading of folds: a mask of the affected pixels [h, w] of `face`, and their factors [N, 3].

    Args:
        relief: the result of `find_relief`, scaled by `roughness`.
        light: the result of `shading.find_light`, [4].
        scene: the head as it lies in the photo.
        face: the map from pixels to the head.
    """
    skin = face.skin & (face.normals[..., 2] > 0.2)
    height = np.where(skin, read(relief, face.at, bounded=True), 0)  # centimetres
    height *= np.float32(pixels_a_centimetre(scene))  # pixels
    down, right = np.gradient(height)
    far = skin & ((height != 0) | (right != 0) | (down != 0))
    slope, was, height = np.stack([right[far], down[far]], axis=1), face.normals[far], height[far]
    normal = was.copy()
    normal[:, :2] -= slope * normal[:, 2:]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    toward = light[1:] + np.array([0, -ABOVE * max(light[0], 1.0), 0])
    least = LEAST * max(float(light[0]), 1.0)
    after, before = (np.maximum(light[0] + n @ toward, least) for n in (normal, was))
    hidden = HIDDEN * np.maximum(-height, 0) / pixels_a_centimetre(scene)
    change = np.zeros(skin.shape, np.float32)  # of the logarithm of light
    change[far] = (np.log(after / before) - hidden) * ramp(was[:, 2], 0.2, 0.5) * face.likeness[far]
    change = np.where(skin, broadened(change, face, pixels_a_centimetre(scene)), 0)
    counts = np.abs(change) > 0.004
    ratio: Float32Array = np.clip(np.exp(change[counts][:, None] * TINT), *LIMITS).astype(np.float32)
    return counts, ratio


def broadened(change: Float32Array, face: FaceMap, scale: float) -> Float32Array:
    """The shading of folds [h, w], smoothed where the skin is squeezed: grooves there would look drawn with a pen.

    scale: pixels per centimetre.
    """
    width, squeezed = BROAD * scale, np.zeros_like(change)
    usual = 1 / (TEXEL * scale)  # texels a pixel
    x, y = np.moveaxis(face.at, 2, 0)
    for ahead, behind in NEIGHBOURS:
        step = np.square(x[ahead] - x[behind]) + np.square(y[ahead] - y[behind])
        np.maximum(squeezed[ahead], step, out=squeezed[ahead])
    weight = ndimage.gaussian_filter(ramp(np.sqrt(squeezed) / usual, *SQUEEZED), 0.5 * width)
    weight = np.minimum(NEAR * weight, 1)
    broad: Float32Array = change + weight * (ndimage.gaussian_filter(change, width) - change)
    return broad


def find_likeness(photo: Pixels, scene: Scene) -> Float32Array:
    """1 where the photo looks like the skin around, 0 where it is much darker or lighter: hair; of the head's box."""
    values = np.log(ndimage.gaussian_filter(brightness(photo[scene.box.slices]), 0.02 * scene.unit) + 8)
    inside = (scene.layer == 0).astype(np.float32)
    wide = 0.5 * scene.unit
    step = max(1, int(wide / 8))
    part, some = values[::step, ::step], inside[::step, ::step]
    around = ndimage.gaussian_filter(part * some, wide / step) / np.maximum(
        ndimage.gaussian_filter(some, wide / step), 1e-3
    )
    x, y = (np.arange(n, dtype=np.float32) / step for n in values.shape[::-1])
    large = read(around.astype(np.float32), np.stack(np.meshgrid(x, y), axis=2))
    return 1 - ramp(np.abs(values - large), *STRANGE)


def pixels_a_centimetre(scene: Scene) -> float:
    """Pixels per centimetre of the mean head, by the distance between the eyes."""
    points = scene.model.neutral[scene.model.landmarks, :2]
    return scene.unit / float(np.linalg.norm(points[[36, 39]].mean(axis=0) - points[[42, 45]].mean(axis=0)))
