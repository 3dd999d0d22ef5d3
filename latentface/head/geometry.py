"""Boxes of a photo, the surfaces of a head that hide each other in it, and their normals.

Coordinates are photo pixels (column, row; integers are pixels' centres), depth grows towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from latentface.head.model import HeadModel
from latentface.ops.raster import Raster, rasterise

#: Part of an array [H, W, ...], rows first.
Part = slice | tuple[slice, slice]
#: Each pixel but the first of its column or row, and the one before it there.
NEIGHBOURS: tuple[tuple[Part, Part], ...] = ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1]))
ROWS = 128  # of a picture that are computed together, which bounds the memory needed


def bands(rows: int) -> Iterator[slice]:
    """The rows of a picture, in bands."""
    return (slice(top, min(top + ROWS, rows)) for top in range(0, rows, ROWS))


def extent(points: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    """The least and the largest coordinates of points [N, D], both [D]."""
    columns = np.ascontiguousarray(np.asarray(points, np.float64).T)  # numpy is slow along the first of two axes
    return columns.min(axis=1), columns.max(axis=1)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: columns left to right - 1, rows top to bottom - 1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, as an index of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def or_pixel(self) -> Box:
        """This box, or that of the photo's first pixel if it is empty."""
        return self if self.width and self.height else Box(0, 0, 1, 1)

    def places(self, scale: int = 1) -> Float32Array:
        """Places of its pixels, or of scale x scale samples in each, [H scale, W scale, 2]."""
        made = np.empty((self.height * scale, self.width * scale, 2), np.float32)
        made[..., 0] = (np.arange(self.width * scale) + 0.5) / scale - 0.5 + self.left
        made[..., 1] = ((np.arange(self.height * scale) + 0.5) / scale - 0.5 + self.top)[:, None]
        return made

    def rows(self, band: slice) -> Box:
        """A band of its rows, which are counted from its first one."""
        return Box(self.left, self.top + band.start, self.right, self.top + band.stop)

    def read(self, values: npt.NDArray[Any], places: npt.ArrayLike, beyond: Any) -> npt.NDArray[Any]:
        """Values [H, W] of this box at the pixels nearest to places [..., 2], and `beyond` outside it."""
        at = np.rint(np.asarray(places) - [self.left, self.top]).astype(int)
        within = (at >= 0).all(axis=-1) & (at[..., 0] < self.width) & (at[..., 1] < self.height)
        rows, columns = np.clip(at[..., 1], 0, self.height - 1), np.clip(at[..., 0], 0, self.width - 1)
        found: npt.NDArray[Any] = np.where(within, values[rows, columns], beyond)
        return found

    def shared(self, other: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where two boxes overlap: in arrays of this one, and in arrays of the other."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = max(min(self.right, other.right), left), max(min(self.bottom, other.bottom), top)
        mine, its = (
            (slice(top - each.top, bottom - each.top), slice(left - each.left, right - each.left))
            for each in (self, other)
        )
        return mine, its

    @classmethod
    def of(cls, part: tuple[slice, slice]) -> Box:
        """That of an index of an array, rows and columns: the inverse of `slices`."""
        rows, columns = part
        return cls(columns.start, rows.start, columns.stop, rows.stop)

    @classmethod
    def around(cls, points: npt.ArrayLike, margin: float, height: int, width: int) -> Box:
        """That of points [N, 2] and a margin, within a photo; it may be empty."""
        low, high = extent(points)
        low, high = low - margin, high + margin
        left, top = np.clip(np.floor(low), 0, [width, height]).astype(int)
        right, bottom = np.clip(np.ceil(high) + 1, 0, [width, height]).astype(int)
        return cls(int(left), int(top), int(max(right, left)), int(max(bottom, top)))


@dataclass(frozen=True, eq=False)
class Surface:
    """The triangles that hide each other in a photo: skin, and caps over the openings of mouth and eyes.

    Attributes:
        triangles: [T, 3]; a cap's middle is a vertex after the model's own.
        layer: of each triangle: 0 skin, 1 mouth, 2 the left eye, 3 the right eye.
        lip: of each triangle: 1 the upper lip, -1 the lower one, 0 neither.
        rings: the cap's rings, in the order of their layers.
    """

    triangles: npt.NDArray[np.int32]
    layer: npt.NDArray[np.int8]
    lip: npt.NDArray[np.int8]
    rings: tuple[Int64Array, ...]

    @cached_property
    def skin(self) -> npt.NDArray[np.int32]:
        """The skin's triangles, [T, 3]."""
        skin: npt.NDArray[np.int32] = self.triangles[self.layer == 0]
        return skin

    @cached_property
    def _layer_or_none(self) -> npt.NDArray[np.int8]:
        """The layer of each triangle, and last the -1 of no triangle, which an index of -1 reads."""
        return np.append(self.layer, np.int8(-1))

    @cached_property
    def _lip_or_none(self) -> npt.NDArray[np.int8]:
        return np.append(self.lip, np.int8(0))

    @classmethod
    def of(cls, model: HeadModel) -> Surface:
        """The surface of a head: its skin, and a fan over each of its openings, seen from either side."""
        triangles, layers = [model.part("skin", "back")], [np.zeros(len(model.part("skin", "back")), np.int8)]
        rings = tuple(model.loops[name] for name in ("mouth", "eye_left", "eye_right"))
        for k, ring in enumerate(rings):
            middle = np.full(len(ring), len(model.neutral) + k)
            fan = np.stack([ring, np.roll(ring, -1), middle], axis=1)
            triangles += [fan, fan[:, ::-1]]  # seen from either side
            layers.append(np.full(2 * len(fan), k + 1, np.int8))
        sides = model.regions["upper_lip"] - model.regions["lower_lip"]
        lip = np.sign(sides[triangles[0]].mean(axis=1)).astype(np.int8)
        triangle, layer = np.concatenate(triangles).astype(np.int32), np.concatenate(layers)
        return cls(triangle, layer, np.pad(lip, (0, len(triangle) - len(lip))), rings)

    def closed(self, values: Float32Array) -> Float32Array:
        """Values of the model's vertices [V, C], and those of the caps' middles after them."""
        return np.concatenate([values, *(values[ring].mean(axis=0, keepdims=True) for ring in self.rings)])

    def seen(self, vertices: Float32Array, box: Box, scale: int = 1) -> Raster:
        """What is seen in a box of the photo, with scale x scale samples a pixel."""
        placed = self.closed(vertices).copy()
        placed[:, :2] = (placed[:, :2] - [box.left, box.top] + 0.5) * scale - 0.5
        return rasterise(placed, self.triangles, box.height * scale, box.width * scale, cull=True)

    def layers(self, raster: Raster) -> npt.NDArray[np.int8]:
        """The layer seen at each pixel, -1 where there is none, [H, W]."""
        return self._layer_or_none[raster.index]

    def lips(self, raster: Raster) -> npt.NDArray[np.int8]:
        """The lip seen at each pixel: 1 the upper, -1 the lower, 0 neither, [H, W]."""
        return self._lip_or_none[raster.index]


def find_jumps(shift: Float32Array, most: float, counts: Callable[[Part, Part], BoolArray]) -> BoolArray:
    """Pixels on either side of the edges at which a field [H, W, 2] jumps by more than `most`, [H, W].

    counts: whether an edge does, for each pixel of one part of the field and its neighbour in another.
    """
    found = np.zeros(shift.shape[:2], bool)
    for one, other in NEIGHBOURS:
        across, down = (np.abs(values[one] - values[other]) > most for values in np.moveaxis(shift, 2, 0))
        apart = (across | down) & counts(one, other)
        found[one] |= apart
        found[other] |= apart
    return found


def brightness(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The mean of the three channels of a picture [H, W, 3], [H, W]: its `mean`, in an eighth of the time."""
    red, green, blue = np.moveaxis(picture, 2, 0)
    made: npt.NDArray[Any] = (np.add(red, green, dtype=np.uint16 if picture.dtype == np.uint8 else None) + blue) / 3.0
    return made


def block_middles(box: Box, step: int) -> Float64Array:
    """Middles of the blocks of step x step pixels of a box, [H / step, W / step, 2]."""
    x, y = (
        first + (np.arange(-(-size // step)) + 0.5) * step - 0.5
        for first, size in ((box.left, box.width), (box.top, box.height))
    )
    return np.stack(np.meshgrid(x, y), axis=2)


def on_blocks(places: Float32Array, step: int) -> Float32Array:
    """Places [..., 2] in pixels on a copy with a pixel for each step x step ones: the inverse of `block_middles`."""
    made: Float32Array = (places + np.float32(0.5)) / np.float32(step) - np.float32(0.5)
    return made


def eye_distance(model: HeadModel, vertices: Float32Array) -> float:
    """Pixels between the middles of the eyes' corners."""
    points = vertices[model.landmarks, :2]
    return float(np.linalg.norm(points[[36, 39]].mean(axis=0) - points[[42, 45]].mean(axis=0)))


def ramp(x: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Float32Array:
    """0 below low, 1 above high, a smooth step between."""
    start = np.asarray(low)
    t = np.clip((np.asarray(x) - start) / (np.asarray(high) - start), 0, 1)
    step: Float32Array = (t * t * (3 - 2 * t)).astype(np.float32)
    return step


def affine(after: Float32Array, before: Float32Array) -> tuple[Float64Array, Float64Array]:
    """The matrix and offset that take places after a change to those before, by least squares."""
    ones = np.concatenate([after[:, :2], np.ones((len(after), 1))], axis=1).astype(np.float64)
    solution = np.linalg.lstsq(ones, before[:, :2].astype(np.float64), rcond=None)[0]
    return solution[:2].T, solution[2]


def blur_known(picture: Float32Array, known: BoolArray, width: float) -> tuple[Float32Array, Float32Array]:
    """A picture [H, W, C] blurred by a Gaussian of which only known pixels count, and their weight in it, [H, W]."""
    share = known.astype(np.float32)
    weight = ndimage.gaussian_filter(share, width)
    blurred = ndimage.gaussian_filter(picture * share[..., None], (width, width, 0))
    mean: Float32Array = blurred / np.maximum(weight, 1e-4)[..., None]
    return mean, weight
