"""What parts of the lips uncover: where it is, what of it the photo itself shows, and a plain filling for the rest.

Teeth that the photo shows are kept: what lies above the bite stays with the skull, what lies below goes with the jaw,
and the lips slide over both. The rest is the head's own teeth, gums and tongue, shaded by depth in the photo's light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.head.field import Box, Field, eye_distance, normals, ramp
from latentface.head.model import Floats, HeadModel, Integers
from latentface.ops.raster import rasterise, sample

Photo = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

PARTS = ("gums_upper", "gums_lower", "tongue", "teeth_upper", "teeth_lower")
COLOURS = {  # linear in the photo's values, where a white surface in its light has 1
    "gums_upper": (0.62, 0.34, 0.34), "gums_lower": (0.60, 0.33, 0.33), "tongue": (0.62, 0.32, 0.31),
    "teeth_upper": (0.92, 0.89, 0.82), "teeth_lower": (0.87, 0.83, 0.75),
}  # fmt: skip
THIN = 0.045  # inter-ocular distances: a thinner gap between the photo's lips shows nothing worth keeping
ROOTS = 0.10  # the same: so far teeth that the photo shows go on upwards under a lip that is lifted
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
    """

    box: Box
    shape: Floats
    part: npt.NDArray[np.int8]
    depth: Floats
    own: Floats
    kept: Floats
    light: Floats
    teeth: Floats | None


def affine(after: Floats, before: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The matrix and offset that take places after a change to those before, by least squares."""
    ones = np.concatenate([after[:, :2], np.ones((len(after), 1))], axis=1).astype(np.float64)
    solution = np.linalg.lstsq(ones, before[:, :2].astype(np.float64), rcond=None)[0]
    return solution[:2].T, solution[2]


def find_opening(
    photo: Photo, model: HeadModel, before: Floats, after: Floats, field: Field, shown: Mask, light: Floats
) -> Opening | None:
    """The opening of the mouth after the change, or None if the lips are closed.

    Args:
        shown: where the photo itself shows the mouth's inside, in the field's box.
    """
    unit = eye_distance(model, before)
    lips = np.unique(np.concatenate([model.loops["mouth"], model.landmarks[48:68]]))
    box = Box.around(after[lips, :2], 0.06 * unit, *photo.shape[:2])
    inside = _cut(field, box, field.layer) == 1
    if not inside.any():
        return None
    kept_depth = ndimage.distance_transform_edt(shown)
    own, kept = _own(photo, model, before, after, field.box, box, kept_depth, unit)
    part, depth = _parts(model, after, box, unit)
    return Opening(
        box, inside.astype(np.float32), part, depth, own, kept * ramp(kept, 0, 1), light,
        _teeth(photo[field.box.slices], kept_depth, unit),
    )  # fmt: skip


def inside_lips(photo: Photo, inside: Mask, unit: float) -> Mask:
    """What a photo shows between its lips, where a fit has it up to a few pixels: by what differs from lips.

    Lip that the fit lets in is left out, and teeth that it takes for lip are let in, both along a rim. Nothing is
    left where what lies between looks like lip all over: the lips are closed.
    """
    depth = ndimage.distance_transform_edt(inside)
    if depth.max() < max(1.0, THIN * unit):
        return np.zeros_like(inside)
    outside = ndimage.distance_transform_edt(~inside)
    colours = ndimage.gaussian_filter(photo.astype(np.float32), (0.6, 0.6, 0))
    light = colours.mean(axis=2)
    red = (colours[..., 0] - colours[..., 1:].mean(axis=2)) / (light + 10)
    around = (outside > 0.03 * unit) & (outside < 0.10 * unit)
    core = depth > 0.6 * depth.max()
    lip, tooth = float(np.median(red[around])), float(np.median(red[core]))
    contrast = float(np.median(light[core]) / max(np.median(light[around]), 1))
    if 0.7 < contrast < 1.1 and lip - tooth < 0.06:
        return np.zeros_like(inside)
    if lip - tooth < 0.06:
        return inside
    looks = red < (lip + tooth) / 2
    rim = max(2.0, 0.06 * unit)
    bright = light > 0.75 * np.median(light[core])  # shadow beside the lips is no tooth
    found = inside & (looks | (depth > rim)) | (looks & bright & (outside < rim) & (outside > 0))
    labels, _ = ndimage.label(found)
    mine = np.unique(labels[core & found])
    kept: Mask = ndimage.binary_opening(np.isin(labels, mine[mine > 0]))
    return kept


def _cut(field: Field, box: Box, values: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The field's values in another box, -1 beyond it."""
    out = np.full((box.height, box.width), -1, np.int8)
    top, left = max(box.top, field.box.top), max(box.left, field.box.left)
    bottom, right = min(box.bottom, field.box.bottom), min(box.right, field.box.right)
    if bottom > top and right > left:
        piece = values[top - field.box.top : bottom - field.box.top, left - field.box.left : right - field.box.left]
        out[top - box.top : bottom - box.top, left - box.left : right - box.left] = piece
    return out


def _own(
    photo: Photo, model: HeadModel, before: Floats, after: Floats, whole: Box, box: Box, depth: Floats, unit: float
) -> tuple[Floats, Floats]:
    """What the photo shows of the mouth's inside, moved, and how far to keep it."""
    places = box.places()
    colours, weights = [], []
    for rows in ("upper", "lower"):
        vertices = np.unique(model.part(f"teeth_{rows}"))
        matrix, offset = affine(after[vertices], before[vertices])
        source = places @ matrix.T + offset
        at = source - [whole.left, whole.top]
        inside = ndimage.map_coordinates(depth, at.transpose(2, 0, 1)[::-1], order=1, mode="constant")
        above = _bite(model, before, source, unit) - source[..., 1]
        side = above if rows == "upper" else -above
        weight = np.clip(inside - 0.5, 0, 1.5) / 1.5 * ramp(side, -0.01 * unit, 0.01 * unit)
        colour = sample(photo, source)
        weights.append(weight)
        colours.append(colour)
        if rows == "upper":
            _grow_roots(weight, colour, round(ROOTS * unit))
    upper, lower = weights
    kept = np.maximum(upper, lower)
    share = (upper / np.maximum(upper + lower, 1e-6))[..., None]
    return colours[0] * share + colours[1] * (1 - share), kept.astype(np.float32)


def _grow_roots(weight: Floats, colour: Floats, reach: int) -> None:
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


def _bite(model: HeadModel, vertices: Floats, places: Floats, unit: float) -> Floats:
    """The row at which upper and lower teeth meet, for each place."""
    rows = []
    for part, pick in (("teeth_upper", np.max), ("teeth_lower", np.min)):
        teeth = np.unique(model.part(part))
        teeth = teeth[np.abs(model.neutral[teeth, 0]) < 1.3]  # the front ones
        rows.append(float(pick(vertices[teeth, 1])))
    jaw = max(rows[1] - rows[0], 0.0)
    # shut teeth overlap: what is seen of them is the upper ones, down to the lower lip
    return np.full(places.shape[:2], rows[0] + 0.4 * jaw if jaw > 0.06 * unit else np.inf, np.float32)


def _parts(model: HeadModel, after: Floats, box: Box, unit: float) -> tuple[npt.NDArray[np.int8], Floats]:
    triangles = model.part(*PARTS)
    part = np.concatenate([np.full(len(model.parts[name]), k, np.int8) for k, name in enumerate(PARTS)])
    placed = after - np.array([box.left, box.top, 0], np.float32)
    seen = rasterise(placed, triangles, box.height, box.width, cull=True)
    front = float(after[model.landmarks[60:68], 2].max())
    depth = np.where(seen.covered, np.maximum(front - seen.depth, 0) / unit, 1.0)
    return np.where(seen.covered, part[seen.index], np.int8(-1)), depth.astype(np.float32)


def _teeth(photo: Photo, depth: Floats, unit: float) -> Floats | None:
    """The value of the brighter half of what the photo shows between its lips."""
    pixels = photo[depth > max(1.5, 0.015 * unit)].astype(np.float32)
    if len(pixels) < (0.12 * unit) ** 2:
        return None
    bright = pixels.mean(axis=1)
    chosen = pixels[bright > np.quantile(bright, 0.6)]
    return np.asarray(np.median(chosen, axis=0), np.float32)


def fill(opening: Opening, model: HeadModel, after: Floats) -> Floats:
    """A plain filling of the whole opening, [H, W, 3], 0 to 255: the head's own mouth, in the photo's light."""
    box, scale, unit = opening.box, 2, eye_distance(model, after)
    parts = PARTS if opening.teeth is None else tuple(name for name in PARTS if name != "teeth_upper")
    triangles: Integers = model.part(*parts)
    shades = np.concatenate([np.tile(np.float32(COLOURS[n]), (len(model.parts[n]), 1)) for n in parts])
    placed = after.copy()
    placed[:, :2] = (placed[:, :2] - [box.left, box.top] + 0.5) * scale - 0.5
    seen = rasterise(placed, triangles, box.height * scale, box.width * scale, cull=True)
    facing = seen.interpolate(normals(after, triangles))
    lit = 0.55 + 0.45 * np.clip(0.9 * facing[..., 2] - 0.3 * facing[..., 1], 0, 1)
    front = float(after[model.landmarks[60:68], 2].max())
    behind = np.maximum(front - seen.depth, 0) / unit
    sunk = 0.05 + 0.95 * np.exp(-1.1 * np.maximum(behind - 0.10, 0))
    colours = shades[np.maximum(seen.index, 0)] * (lit * sunk)[..., None]
    mixed = np.where(seen.covered[..., None], np.maximum(colours, CAVITY), CAVITY)
    mixed = mixed.reshape(box.height, scale, box.width, scale, 3).mean(axis=(1, 3))
    mixed = ndimage.gaussian_filter(mixed, (0.010 * unit, 0.010 * unit, 0))
    # the lips shade what lies behind them, the upper one most
    edge = ndimage.distance_transform_edt(np.pad(opening.shape, 1))[1:-1, 1:-1] / unit
    under = np.cumsum(opening.shape, axis=0) / unit
    mixed = mixed * ((0.55 + 0.45 * ramp(edge, 0.0, 0.06)) * (0.72 + 0.28 * ramp(under, 0.0, 0.12)))[..., None]
    white = opening.light if opening.teeth is None else np.minimum(opening.teeth / 0.85, 255)
    return np.clip(mixed * white, 0, 255).astype(np.float32)
