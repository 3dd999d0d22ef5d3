"""Texture for completed pictures: detail from places around the hole that look alike, with their grain.

What a network paints holds no more detail than its own resolution, and less than the photo. The finest band of the
photo is continued into the hole from the places whose deep features are most like those of the completed ones, so that
it is as sharp and as grainy as its rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from latentface.faces.regions import fill, outline
from latentface.fields import resize
from latentface.io.images import to_tensor
from latentface.networks.perceptual import FeatureDistance

CELL = 4  # pixels of the network's scale on a side of a place
MARGIN = 20  # places around the hole that are looked at
MOST = 12_000  # places that detail comes from
BAND = 1.2  # pixels of the network's scale: what is finer is detail
NEAR = 0.15  # of the features' distance: what a distance of all of the view counts
AGREEING = 0.15  # of the features' distance: what it counts if a place's neighbours take theirs elsewhere
FOREHEAD = 0.3  # inter-ocular distances that the face's outline reaches above the brows
PASSES = 3
STRONGEST = 3.0  # standard deviations of the detail of the face, or beside it: stronger belongs to an edge of its own


@dataclass(frozen=True, eq=False)
class _Places:
    """Places of a view [rows, columns]: which are hidden, which detail may come from, and unit features [C, h, w]."""

    hidden: BoolArray
    given: BoolArray
    features: Float32Array


def add_detail(
    picture: Float32Array, hole: BoolArray, landmarks: Float64Array, scale: float, distance: FeatureDistance
) -> Float32Array:
    """A completed picture with detail in its hole; elsewhere it is returned as it is.

    Args:
        picture: float32 [H, W, 3], 0 to 255, completed at a coarser scale.
        hole: [H, W], what was completed.
        landmarks: [68, 2], of the face, in pixels of the picture: within its outline detail is as weak as there.
        scale: pixels of the picture for one of that scale, 1 or more.
        distance: its features say which places look alike.
    """
    box = _around(hole, MARGIN * CELL * scale)
    view, inside = picture[box], hole[box]
    low = ndimage.gaussian_filter(view, (BAND * scale, BAND * scale, 0))
    places = _places(view, inside, scale, distance)
    if not places.given.any() or not places.hidden.any():
        return picture
    shifts = _shifts(places) * np.float32(CELL * scale)
    rows, columns = np.nonzero(inside)
    cells = (rows / (CELL * scale)).astype(int), (columns / (CELL * scale)).astype(int)
    cells = tuple(np.minimum(each, size - 1) for each, size in zip(cells, places.hidden.shape, strict=True))
    move = np.rint(shifts[cells]).astype(int)
    from_rows, from_columns = rows + move[:, 0], columns + move[:, 1]
    within = (from_rows >= 0) & (from_columns >= 0) & (from_rows < view.shape[0]) & (from_columns < view.shape[1])
    within[within] = ~inside[from_rows[within], from_columns[within]]
    detail = view - low
    found = np.zeros_like(detail)
    found[rows[within], columns[within]] = detail[from_rows[within], from_columns[within]]
    face = fill(outline([landmarks - (box[1].start, box[0].start)], FOREHEAD), (view.shape[1], view.shape[0]))
    for part in (face, ~face):
        seen = np.abs(detail[part & ~inside])
        most = STRONGEST * 1.48 * float(np.median(seen)) if seen.size else 0.0
        found[part] = found[part].clip(-most, most)
    made = low + _mixed(detail, found, inside, 2 * CELL * scale)
    result: Float32Array = picture.copy()
    result[box][inside] = made[inside]
    return result


def _mixed(own: Float32Array, found: Float32Array, inside: BoolArray, reach: float) -> Float32Array:
    """A completed picture's own detail, and so much of what was found that there is as much of both as was found."""

    def energy(detail: Float32Array) -> Float32Array:
        square = np.where(inside, (detail**2).mean(axis=2), 0)
        return np.asarray(ndimage.gaussian_filter(square, reach), np.float32)

    have, want = energy(own), energy(found)
    gain = np.sqrt(np.clip(1 - have / np.maximum(want, 1e-6), 0, 1))
    return own + np.asarray(gain[..., None] * found, np.float32)


def _around(hole: BoolArray, margin: float) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    reach = int(np.ceil(margin))
    top, left = max(int(rows[0]) - reach, 0), max(int(columns[0]) - reach, 0)
    return slice(top, int(rows[-1]) + reach + 1), slice(left, int(columns[-1]) + reach + 1)


def _places(view: Float32Array, inside: BoolArray, scale: float, distance: FeatureDistance) -> _Places:
    cells = tuple(max(1, round(size / (CELL * scale))) for size in inside.shape)
    small = resize(ndimage.gaussian_filter(view, (BAND * scale, BAND * scale, 0)), [CELL * each for each in cells])
    tensor = to_tensor(np.rint(small).clip(0, 255).astype(np.uint8))
    short = [max(0, 32 - size) for size in tensor.shape[2:]]
    tensor = F.pad(tensor, (0, short[1], 0, short[0]), mode="replicate")
    with torch.inference_mode():
        maps = distance.unit_features(tensor)[1:3]
        size = tensor.shape[2] // CELL, tensor.shape[3] // CELL
        joined = [F.adaptive_avg_pool2d(each, size) for each in maps]
        colour = F.avg_pool2d(tensor, CELL)
    features = torch.cat([*joined, colour], 1)[0, :, : cells[0], : cells[1]].numpy()
    share = resize(inside.astype(np.float32), cells)
    given = ~ndimage.binary_dilation(share > 0, iterations=1)
    return _Places(share > 0, given, features)


def _shifts(places: _Places) -> Float32Array:
    """For each hidden place the shift, in places, to the one that its detail comes from: [h, w, 2] (rows, columns)."""
    target = np.argwhere(places.hidden)
    source = np.argwhere(places.given)
    source = source[:: max(1, len(source) // MOST)]
    a, b = places.features[:, target[:, 0], target[:, 1]].T, places.features[:, source[:, 0], source[:, 1]].T
    unit = max(places.hidden.shape)
    cost = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    scale = float(np.median(cost.min(axis=1))) + 1e-4
    apart = np.hypot(target[:, None, 0] - source[None, :, 0], target[:, None, 1] - source[None, :, 1]) / unit
    cost = (cost / scale + NEAR * apart / 0.1).astype(np.float32)
    chosen = source[cost.argmin(axis=1)] - target
    shifts = np.zeros((*places.hidden.shape, 2), np.float32)
    shifts[target[:, 0], target[:, 1]] = chosen
    index = np.full(places.hidden.shape, -1)
    index[source[:, 0], source[:, 1]] = np.arange(len(source))
    for _ in range(PASSES):
        _agree(shifts, places, target, index, cost)
    return shifts


def _agree(shifts: Float32Array, places: _Places, target: Int64Array, index: Int64Array, cost: Float32Array) -> None:
    """Let each hidden place take its neighbours' shift where that is nearly as good, in place (as in PatchMatch)."""
    height, width = index.shape
    for k, (row, column) in enumerate(target.tolist()):
        best, at = np.inf, shifts[row, column]
        around = [
            (row + dy, column + dx)
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
            if 0 <= row + dy < height and 0 <= column + dx < width and places.hidden[row + dy, column + dx]
        ]
        for option in [at, *(shifts[each] for each in around)]:
            y, x = int(row + option[0]), int(column + option[1])
            if not (0 <= y < height and 0 <= x < width) or index[y, x] < 0:
                continue
            alone = sum(bool((shifts[each] != option).any()) for each in around)
            total = float(cost[k, index[y, x]]) + AGREEING * 4 * alone / max(1, len(around))
            if total < best:
                best, at = total, option.copy()
        shifts[row, column] = at
