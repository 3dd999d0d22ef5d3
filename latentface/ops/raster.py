"""Rasterisation of triangles with a depth buffer and vertex attributes: native, or NumPy with identical bits.

Integer coordinates are the centres of pixels; depth grows towards the viewer, and there is no perspective: vertices are
already projected. Corners are snapped to 1/256 pixel, and a pixel centre on an edge that two triangles share belongs to
one of them (the top-left rule); of two surfaces at equal depth, the triangle that comes first is visible.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentface.ops import native
from latentface.ops.compiler import BuildFailed

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

GRID = 256
FAR = 30000  # pixels: edge functions stay exact in 64 bits, and weights in 53
CANDIDATES = 2_000_000  # pairs of triangle and pixel that the reference processes at a time

_INTEGER, _SMALL = ctypes.c_int64, ctypes.c_int32
_FLOATS = native.Array(np.float32)
_BYTES = native.Array(np.uint8)
_INTEGERS = native.Array(np.int32)
SIGNATURES: dict[str, list[Any]] = {
    "lf_rasterise": [_FLOATS, _INTEGERS, _INTEGER, _SMALL, _SMALL, _SMALL, _INTEGERS, _FLOATS, _FLOATS],
    "lf_sample": [_BYTES, _SMALL, _SMALL, _SMALL, _FLOATS, _INTEGER, _FLOATS],
    "lf_normals": [_FLOATS, _INTEGER, _INTEGERS, _INTEGER, _FLOATS],
    "lf_interpolate": [_INTEGERS, _INTEGERS, _FLOATS, _INTEGER, _FLOATS, _INTEGER, _FLOATS],
}


@dataclass(frozen=True)
class Raster:
    """The surface visible at each pixel.

    Attributes:
        triangles: the vertex indices that were rasterised, int32 [T, 3].
        index: the visible triangle, or -1, int32 [H, W].
        weights: barycentric coordinates within it, in the order of its corners, or 0, float32 [H, W, 3].
        depth: its depth, or minus infinity, float32 [H, W].
    """

    triangles: Integers
    index: Integers
    weights: Floats
    depth: Floats

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Where any triangle is visible, [H, W]."""
        return self.index >= 0

    def every(self, step: int) -> Raster:
        """The raster at every `step`th pixel, from pixel step // 2 on."""
        return self.cut(slice(step // 2, None, step), slice(step // 2, None, step))

    def cut(self, rows: slice, columns: slice) -> Raster:
        """The raster at some of the pixels."""
        index, weights, depth = (
            np.ascontiguousarray(each[rows, columns]) for each in (self.index, self.weights, self.depth)
        )
        return Raster(self.triangles, index, weights, depth)  # type: ignore[arg-type]

    def interpolate(self, attributes: npt.ArrayLike) -> Floats:
        """Attributes of vertices [V, C] at each pixel, float32 [H, W, C]; 0 where nothing is visible.

        Raises:
            ValueError: `attributes` is not a matrix with a row for each vertex.
        """
        values = np.ascontiguousarray(attributes, np.float32)
        if values.ndim != 2 or len(values) <= self.triangles.max(initial=-1):
            needed = self.triangles.max(initial=-1) + 1
            raise ValueError(f"attributes have shape {list(values.shape)}: expected [V >= {needed}, C]")
        found = _library()
        if found is None:
            return _interpolate_reference(self, values)
        out = np.empty((*self.index.shape, values.shape[1]), np.float32)
        found.lf_interpolate(
            self.triangles, self.index, self.weights, self.index.size, values, values.shape[1], out
        )  # fmt: skip
        return out


def rasterise(
    vertices: npt.ArrayLike, triangles: npt.ArrayLike, height: int, width: int, *, cull: bool = False
) -> Raster:
    """Rasterise triangles as seen from the front.

    Args:
        vertices: column, row and depth of each vertex, [V, 3]; depth grows towards the viewer.
        triangles: vertex indices, [T, 3].
        height: rows of the raster.
        width: columns of the raster.
        cull: omit the triangles that are seen from behind, whose corners are clockwise in the picture.

    Raises:
        ValueError: a shape is wrong, an index is out of range, or a vertex is not finite or 30,000 pixels away.
    """
    points = np.ascontiguousarray(vertices, np.float32)
    corners = np.ascontiguousarray(triangles, np.int32)
    _check(points, corners, height, width)
    found = _library()
    if found is None:
        return _rasterise_reference(points, corners, height, width, cull)
    index = np.empty((height, width), np.int32)
    weights = np.empty((height, width, 3), np.float32)
    depth = np.empty((height, width), np.float32)
    found.lf_rasterise(points, corners, len(corners), height, width, int(cull), index, weights, depth)
    return Raster(corners, index, weights, depth)


def sample(picture: npt.NDArray[np.uint8], places: npt.ArrayLike) -> Floats:
    """Sample a picture [H, W, C] at places [..., 2] (column, row) by Catmull-Rom interpolation: float32 [..., C].

    At the centre of a pixel the result is that pixel; edge pixels are repeated beyond the edges.

    Raises:
        ValueError: the picture is not uint8 [H, W, C], or places are not pairs of finite numbers.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or not picture.size:
        raise ValueError(f"the picture is {picture.dtype} {list(picture.shape)}: expected uint8 [H, W, C]")
    at = np.ascontiguousarray(places, np.float32)
    if at.shape[-1:] != (2,) or not (np.abs(at) < 1e6).all():
        raise ValueError(f"places have shape {list(at.shape)}: expected [..., 2], all finite and below a million")
    found = _library()
    flat = at.reshape(-1, 2)
    if found is None:
        out = np.concatenate(
            [_sample_reference(picture, piece) for piece in np.array_split(flat, len(flat) // 65536 + 1)]
        )
    else:
        height, width, channels = picture.shape
        out = np.empty((len(flat), channels), np.float32)
        found.lf_sample(np.ascontiguousarray(picture), height, width, channels, flat, len(flat), out)
    return out.reshape(*at.shape[:-1], picture.shape[2])


def normals(vertices: npt.ArrayLike, triangles: npt.ArrayLike) -> Floats:
    """Unit normals [V, 3] of vertices [V, 3], on the side from which triangles [T, 3] appear counter-clockwise.

    Raises:
        ValueError: a shape is wrong, or an index is out of range.
    """
    points, corners = np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(triangles, np.int32)
    _check(points, corners, 1, 1)
    found = _library()
    if found is None:
        a, b, c = (points[corners[:, k]].astype(np.float64) for k in range(3))
        faces = np.cross(c - a, b - a)  # y points down in a picture, which reverses the orientation
        total = np.stack(
            [np.bincount(corners.ravel(), np.repeat(faces[:, k], 3), len(points)) for k in range(3)], axis=1
        )
        length = np.sqrt(total[:, 0] ** 2 + total[:, 1] ** 2 + total[:, 2] ** 2)
        return np.asarray(total / np.maximum(length, 1e-12)[:, None], np.float32)
    out = np.empty_like(points)
    found.lf_normals(points, len(points), corners, len(corners), out)
    return out


def _check(points: Floats, corners: Integers, height: int, width: int) -> None:
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"vertices have shape {list(points.shape)}: expected [V, 3]")
    if corners.ndim != 2 or corners.shape[1] != 3:
        raise ValueError(f"triangles have shape {list(corners.shape)}: expected [T, 3]")
    if height < 1 or width < 1:
        raise ValueError(f"a picture of {width} x {height} pixels has none: give at least 1 x 1")
    if corners.size and not 0 <= corners.min() <= corners.max() < len(points):
        raise ValueError(f"triangles name vertices {corners.min()} to {corners.max()}: there are {len(points)}")
    if not (np.abs(points) < FAR).all():  # also if a coordinate is not a number
        raise ValueError(f"vertices must be finite and within {FAR} pixels of the first one of the picture")


def _library() -> ctypes.CDLL | None:
    return native.for_arrays(_load)


@functools.cache
def _load() -> ctypes.CDLL | BuildFailed:
    return native.load_for_arrays("raster", SIGNATURES, "numpy rasterises")


@dataclass(frozen=True)
class _Corners:
    """Triangles of positive area: columns and rows on the grid, int64 [T, 3], and depths, float64 [T, 3]."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    depth: npt.NDArray[np.float64]
    area: npt.NDArray[np.int64]
    flipped: npt.NDArray[np.bool_]
    number: npt.NDArray[np.int64]

    def of(self, chosen: npt.NDArray[Any]) -> _Corners:
        return _Corners(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def edge(self, p: int, q: int, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positive on the inner side of the edge between two corners."""
        across, along = self.x[:, q] - self.x[:, p], self.y[:, q] - self.y[:, p]
        return across * (y - self.y[:, p]) - along * (x - self.x[:, p])

    def owns(self, p: int, q: int) -> npt.NDArray[np.bool_]:
        """Whether pixels on the edge belong to the triangle: the top-left rule."""
        level = (self.y[:, q] == self.y[:, p]) & (self.x[:, q] > self.x[:, p])
        owned: npt.NDArray[np.bool_] = level | (self.y[:, q] < self.y[:, p])
        return owned


def _rasterise_reference(points: Floats, corners: Integers, height: int, width: int, cull: bool) -> Raster:
    """The computation of csrc/raster.cpp in NumPy."""
    index = np.full(height * width, -1, np.int32)
    weights = np.zeros((height * width, 3), np.float32)
    depth = np.full(height * width, -np.inf, np.float32)
    ready = _set_up(points, corners, cull)
    left, right = np.maximum(-(-ready.x.min(axis=1) // GRID), 0), np.minimum(ready.x.max(axis=1) // GRID, width - 1)
    top, bottom = np.maximum(-(-ready.y.min(axis=1) // GRID), 0), np.minimum(ready.y.max(axis=1) // GRID, height - 1)
    wide, high = np.maximum(right - left + 1, 0), np.maximum(bottom - top + 1, 0)
    ends = np.cumsum(wide * high)
    start = 0
    while start < len(ends):
        held = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, held + CANDIDATES, side="right")), start + 1)
        size = (wide * high)[start:stop]
        which = np.repeat(np.arange(start, stop), size)
        offset = np.arange(len(which)) - np.repeat(ends[start:stop] - size - held, size)
        column, row = left[which] + offset % wide[which], top[which] + offset // wide[which]
        _compete(ready.of(which), column, row, row * width + column, index, weights, depth)
        start = stop
    shape = (height, width)
    return Raster(corners, index.reshape(shape), weights.reshape(*shape, 3), depth.reshape(shape))


def _set_up(points: Floats, corners: Integers, cull: bool) -> _Corners:
    placed = points.astype(np.float64)[corners]
    x, y = (np.rint(placed[..., k] * GRID).astype(np.int64) for k in (0, 1))
    made = _Corners(x, y, placed[..., 2], x[:, 0], x[:, 0] < 0, np.arange(len(corners)))
    area = made.edge(0, 1, x[:, 2], y[:, 2])
    kept = np.flatnonzero(area < 0 if cull else area != 0)
    flipped = area[kept] < 0
    order = np.where(flipped[:, None], [0, 2, 1], [0, 1, 2])
    x, y = (np.take_along_axis(each[kept], order, axis=1) for each in (x, y))
    depths = np.take_along_axis(placed[kept, :, 2], order, axis=1)
    return _Corners(x, y, depths, np.abs(area[kept]), flipped, kept)


def _compete(
    t: _Corners, column: npt.NDArray[np.int64], row: npt.NDArray[np.int64], pixel: npt.NDArray[np.int64],
    index: Integers, weights: Floats, depth: Floats,
) -> None:  # fmt: skip
    """Insert candidates, pairs of triangle and pixel, where they are nearer than the current surface."""
    x, y = column * GRID, row * GRID
    edges = [t.edge(p, q, x, y) for p, q in ((1, 2), (2, 0), (0, 1))]
    owned = [t.owns(p, q) for p, q in ((1, 2), (2, 0), (0, 1))]
    inside = np.logical_and.reduce([e >= np.where(o, 0, 1) for e, o in zip(edges, owned, strict=True)])
    chosen = np.flatnonzero(inside)
    t, pixel = t.of(chosen), pixel[chosen]
    w = [e[chosen] / t.area for e in edges]
    found = (w[0] * t.depth[:, 0] + w[1] * t.depth[:, 1] + w[2] * t.depth[:, 2]).astype(np.float32)
    order = np.lexsort((t.number, -found, pixel))
    order = order[np.diff(pixel[order], prepend=-1) != 0]  # the nearest for each pixel, and the first among equals
    order = order[found[order] > depth[pixel[order]]]
    at = pixel[order]
    index[at], depth[at] = t.number[order], found[order]
    second, third = np.where(t.flipped, w[2], w[1]), np.where(t.flipped, w[1], w[2])
    weights[at] = np.stack([w[0], second, third], axis=1)[order]


def _interpolate_reference(raster: Raster, values: Floats) -> Floats:
    out = np.zeros((*raster.index.shape, values.shape[1]), np.float32)
    seen = raster.covered
    corners, weights = raster.triangles[raster.index[seen]], raster.weights[seen]
    a, b, c = (weights[:, k, None] * values[corners[:, k]] for k in range(3))
    out[seen] = a + b + c
    return out


def cubic_weights(t: Floats) -> Floats:
    """Weights of the four samples around a position t in [0, 1) after the second one, [4, P]."""
    half, one, two = np.float32(0.5), np.float32(1), np.float32(2)
    return np.stack([
        ((-half * t + one) * t - half) * t, (np.float32(1.5) * t - np.float32(2.5)) * t * t + one,
        ((np.float32(-1.5) * t + two) * t + half) * t, (half * t - half) * t * t,
    ])  # fmt: skip


def _sample_reference(picture: npt.NDArray[np.uint8], places: Floats) -> Floats:
    height, width, channels = picture.shape
    corner = np.floor(places)
    across, down = (cubic_weights(places[:, k] - corner[:, k])[..., None] for k in (0, 1))
    left, top = corner.astype(np.int64).T
    out = np.zeros((len(places), channels), np.float32)
    for j in range(4):
        rows = np.clip(top - 1 + j, 0, height - 1)
        line = np.zeros_like(out)
        for i in range(4):
            line += across[i] * picture[rows, np.clip(left - 1 + i, 0, width - 1)].astype(np.float32)
        out += down[j] * line
    return out
