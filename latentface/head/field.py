"""Where each pixel of the moved photo comes from: the field of a head's motion, continued beyond the head.

The head's visible skin, before and after, gives the field on the face. Where the skin ends, or turns into view what
the photo does not show, the field goes on smoothly: on a grid it minimises

    sum c |d - d_mesh|^2 + |grad d|^2 + |d|^2 / l^2,

with c the mesh's confidence and l the length over which it fades into neck, hair and background: longer for larger
motions, so that nothing folds. A turn in the picture's plane is taken out first, as a similarity, and added within a
window around head and hair: hair turns with the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse import linalg

from latentface.head.model import Floats, HeadModel, Integers
from latentface.ops.raster import Raster, rasterise

Mask = npt.NDArray[np.bool_]

CELL = 0.1  # step of the grid, as a part of the inter-ocular distance
FADE = 0.7  # length over which the field fades outside the head, the same
SLACK = 1.6  # that length is at least this multiple of the longest displacement
REACH = 3.0  # beyond this many lengths nothing moves
DATA = 20.0  # weight of the mesh's field against its gradient
HAIR = 1.25  # how much wider than the skull the window of the similarity is


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: columns left to right - 1, rows top to bottom - 1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def places(self, scale: int = 1) -> Floats:
        """Places of its pixels, or of scale x scale samples in each, [H scale, W scale, 2]."""
        x = (np.arange(self.width * scale) + 0.5) / scale - 0.5 + self.left
        y = (np.arange(self.height * scale) + 0.5) / scale - 0.5 + self.top
        return np.stack(np.meshgrid(x, y), axis=2).astype(np.float32)

    @classmethod
    def around(cls, points: npt.ArrayLike, margin: float, height: int, width: int) -> Box:
        """That of points [N, 2] and a margin, within a photo; it may be empty."""
        low, high = np.min(points, axis=0) - margin, np.max(points, axis=0) + margin
        left, top = np.clip(np.floor(low), 0, [width, height]).astype(int)
        right, bottom = np.clip(np.ceil(high) + 1, 0, [width, height]).astype(int)
        return cls(int(left), int(top), int(max(right, left)), int(max(bottom, top)))


@dataclass(frozen=True)
class Surface:
    """The triangles that hide each other in a photo: skin, and caps over the openings of mouth and eyes.

    Attributes:
        triangles: [T, 3]; a cap's middle is a vertex after the model's own.
        layer: of each triangle: 0 skin, 1 mouth, 2 the left eye, 3 the right eye.
        rings: the cap's rings, in the order of their layers.
    """

    triangles: Integers
    layer: npt.NDArray[np.int8]
    rings: tuple[Integers, ...]

    @classmethod
    def of(cls, model: HeadModel) -> Surface:
        triangles, layers = [model.part("skin", "back")], [np.zeros(len(model.part("skin", "back")), np.int8)]
        rings = tuple(model.loops[name] for name in ("mouth", "eye_left", "eye_right"))
        for k, ring in enumerate(rings):
            middle = np.full(len(ring), len(model.neutral) + k)
            fan = np.stack([ring, np.roll(ring, -1), middle], axis=1)
            triangles += [fan, fan[:, ::-1]]  # seen from either side
            layers.append(np.full(2 * len(fan), k + 1, np.int8))
        return cls(np.concatenate(triangles), np.concatenate(layers), rings)

    def closed(self, values: Floats) -> Floats:
        """Values of the model's vertices [V, C], and those of the caps' middles after them."""
        return np.concatenate([values, *(values[ring].mean(axis=0, keepdims=True) for ring in self.rings)])

    def seen(self, vertices: Floats, box: Box, scale: int = 1) -> Raster:
        """What is seen in a box of the photo, with scale x scale samples a pixel."""
        placed = self.closed(vertices).copy()
        placed[:, :2] = (placed[:, :2] - [box.left, box.top] + 0.5) * scale - 0.5
        return rasterise(placed, self.triangles, box.height * scale, box.width * scale, cull=True)

    def layers(self, raster: Raster) -> npt.NDArray[np.int8]:
        """The layer seen at each pixel, -1 where there is none, [H, W]."""
        return np.where(raster.covered, self.layer[raster.index], np.int8(-1))


def normals(vertices: Floats, triangles: Integers) -> Floats:
    """Unit normals [V, 3] towards the outside: +x right, +y down, +z to the viewer."""
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    faces = np.cross(c - a, b - a)  # y goes down in a photo: the corners' sense is turned
    total = np.stack([
        np.bincount(triangles.ravel(), np.repeat(faces[:, k], 3), len(vertices)) for k in range(3)
    ], axis=1)  # fmt: skip
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-12)).astype(np.float32)


def eye_distance(model: HeadModel, vertices: Floats) -> float:
    """Pixels between the middles of the eyes' corners."""
    points = vertices[model.landmarks, :2]
    return float(np.linalg.norm(points[[36, 39]].mean(axis=0) - points[[42, 45]].mean(axis=0)))


def ramp(x: npt.NDArray[np.floating], low: float, high: float) -> Floats:
    """0 below low, 1 above high, a smooth step between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def confidence(model: HeadModel, surface: Surface, before: Floats, after: Floats, seen: Raster, box: Box) -> Floats:
    """How far each vertex's motion is to be trusted, [V]: in view before and after, and not of the neck."""
    skin = surface.triangles[surface.layer == 0]
    facing = np.minimum(*(normals(each, skin)[:, 2] for each in (before, after)))
    unit = eye_distance(model, before)
    at = np.clip(np.rint(before[:, :2]).astype(int) - [box.left, box.top], 0, [box.width - 1, box.height - 1])
    hidden = before[:, 2] < seen.depth[at[:, 1], at[:, 0]] - 0.12 * unit
    # ears, and all behind them, seldom lie where the mesh has them
    trust = ramp(facing, 0.15, 0.5) * ~hidden * ramp(model.neutral[:, 2], 3.0, 5.5)
    trust *= (1 - ramp(model.regions["neck"], 0.0, 0.3)) * (1 - ramp(model.regions["ears"], 0.0, 0.3))
    for name in ("upper_lip", "lower_lip", "inner_mouth"):
        trust = np.maximum(trust, ramp(model.regions[name], 0.05, 0.4))
    for side in ("left", "right"):
        for lid in ("upper_lid", "lower_lid"):
            trust = np.maximum(trust, ramp(model.regions[f"{lid}_{side}"], 0.05, 0.3))
    return trust.astype(np.float32)


@dataclass(frozen=True)
class Field:
    """Displacements d of a box of the photo: the pixel at p comes from p + d(p).

    Attributes:
        box: where; outside nothing moves.
        shift: d in pixels, [H, W, 2].
        layer: what is seen after the change: 0 skin, 1 mouth, 2 and 3 eyes, -1 none of the head, [H, W].
        before: the same of the photo itself.
        raster: the head after the change.
    """

    box: Box
    shift: Floats
    layer: npt.NDArray[np.int8]
    before: npt.NDArray[np.int8]
    raster: Raster


def find_field(
    model: HeadModel, surface: Surface, before: Floats, after: Floats, height: int, width: int
) -> Field | None:
    """The field that a head's motion means for a photo of that size, or None if none of the photo moves."""
    shift = before[:, :2] - after[:, :2]
    used = np.unique(surface.triangles[surface.layer == 0])
    longest = float(np.linalg.norm(shift[used], axis=1).max())
    if longest < 0.02:  # pixels
        return None
    unit = eye_distance(model, before)
    fade = max(FADE * unit, SLACK * longest)
    box = Box.around(np.concatenate([before[used, :2], after[used, :2]]), REACH * fade, height, width)
    if not box.width or not box.height:
        return None
    seen, earlier = surface.seen(after, box), surface.seen(before, box)
    trust = confidence(model, surface, before, after, earlier, box)
    values = surface.closed(np.concatenate([shift, trust[:, None]], axis=1))
    mesh = seen.interpolate(values)
    layer = surface.layers(seen)
    turn = Turn.between(model, before, after)
    own = mesh[..., 2] * (layer == 0)
    fixed = turn.at(box, fade)
    rest = _continue(mesh[..., :2] - fixed, own, max(2, round(CELL * unit)), fade) + fixed
    weight = own[..., None]
    found = weight * mesh[..., :2] + (1 - weight) * rest
    return Field(box, found.astype(np.float32), layer, surface.layers(earlier), seen)


@dataclass(frozen=True)
class Turn:
    """A similarity from the place after the change to that before, of the skull as a whole: p -> matrix p + offset."""

    matrix: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    middle: npt.NDArray[np.float64]
    radii: npt.NDArray[np.float64]

    @classmethod
    def between(cls, model: HeadModel, before: Floats, after: Floats) -> Turn:
        """By least squares over the skull from the brows up, its back included (Umeyama 1991)."""
        skull = np.unique(model.part("skin", "back"))
        skull = skull[model.neutral[skull, 1] > 6.5]
        a, b = after[skull, :2].astype(np.float64), before[skull, :2].astype(np.float64)
        a_mean, b_mean = a.mean(axis=0), b.mean(axis=0)
        u, s, vt = np.linalg.svd((b - b_mean).T @ (a - a_mean))
        sign = np.array([1, np.sign(np.linalg.det(u @ vt))])
        matrix = (u * sign) @ vt * (s @ sign) / np.square(a - a_mean).sum()
        head = after[np.unique(model.part("skin", "back"))]
        head = head[model.neutral[np.unique(model.part("skin", "back")), 1] > -8]
        low, high = head[:, :2].min(axis=0), head[:, :2].max(axis=0)
        return cls(matrix, b_mean - matrix @ a_mean, (low + high) / 2, (high - low) / 2)

    def at(self, box: Box, fade: float) -> Floats:
        """The displacement it means within a window around head and hair, [H, W, 2]."""
        if np.abs(self.matrix - np.eye(2)).max() < 1e-4 and np.abs(self.offset).max() < 0.05:
            return np.zeros((box.height, box.width, 2), np.float32)
        places = box.places()
        moved = places @ self.matrix.T + self.offset - places
        away = np.linalg.norm((places - self.middle) / (self.radii * HAIR), axis=2)
        outside = (away - 1) * self.radii.mean() * HAIR
        return (moved * (1 - ramp(outside, 0, 2 * fade))[..., None]).astype(np.float32)


def _continue(values: Floats, trust: Floats, step: int, fade: float) -> Floats:
    """A smooth field [H, W, 2] that keeps to `values` where they are trusted, and fades elsewhere."""
    height, width = trust.shape
    rows, columns = -(-height // step), -(-width // step)

    def means(x: Floats) -> Floats:
        padded = np.pad(x, ((0, rows * step - height), (0, columns * step - width), (0, 0)))
        return padded.reshape(rows, step, columns, step, -1).mean(axis=(1, 3))

    summed = means(np.concatenate([values * trust[..., None], trust[..., None]], axis=2))
    weight = summed[..., 2].ravel() * DATA
    cells = fade / step
    far = ndimage.distance_transform_edt(summed[..., 2] < 0.3) / cells if weight.any() else np.ones((rows, columns))
    system = _laplacian(rows, columns) + sparse.diags(weight + np.clip(far.ravel() * 2, 0.05, 1) / cells**2)
    solve = linalg.factorized(system.tocsc())
    coarse = np.stack([solve(DATA * summed[..., k].ravel()) for k in (0, 1)], axis=1).reshape(rows, columns, 2)
    coarse *= 1 - ramp(far, REACH * 0.5, REACH * 0.95)[..., None]
    return _enlarge(_enlarge(coarse, height, step).transpose(1, 0, 2), width, step).transpose(1, 0, 2)


def _laplacian(rows: int, columns: int) -> sparse.csr_matrix:
    """Of a grid whose edges reflect, positive semidefinite."""

    def line(n: int) -> sparse.csr_matrix:
        diagonal = np.full(n, 2.0)
        diagonal[[0, -1]] -= 1
        return sparse.diags([diagonal, np.full(n - 1, -1.0), np.full(n - 1, -1.0)], [0, 1, -1])

    return sparse.kron(line(rows), sparse.eye(columns)) + sparse.kron(sparse.eye(rows), line(columns))


def _enlarge(values: Floats, size: int, step: int) -> Floats:
    """Along the first axis from one value a step to one a pixel, by Catmull and Rom's cubic."""
    count = len(values)
    at = (np.arange(size) + 0.5) / step - 0.5
    low = np.floor(at).astype(int)
    t = at - low
    weights = [
        ((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t,
    ]  # fmt: skip
    matrix = np.zeros((size, count))
    for k, w in enumerate(weights):
        np.add.at(matrix, (np.arange(size), np.clip(low - 1 + k, 0, count - 1)), w)
    return np.einsum("pc,ckd->pkd", matrix, values, optimize=True)
