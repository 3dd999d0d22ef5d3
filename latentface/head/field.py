"""The displacement field of a moving head: the source of each pixel of the moved photo, also around the head.

On the face, the field follows from the visible skin before and after. Beyond the skin, and where a turn reveals skin
that the photo does not show, the field is continued smoothly: on a grid, it minimises

    sum c |d - d_mesh|^2 + |grad d|^2 + |d|^2 / l^2,

with c the mesh's confidence and l the length over which it fades into neck, hair and background: longer for larger
motions, so that nothing folds. An in-plane rotation is removed first, as a similarity, and added again within a
window around head and hair, so that hair turns with the head. Other heads in the photo do not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from latentface.faces.neighbours import held, within
from latentface.head.geometry import Box, Surface, block_middles, extent, eye_distance, find_jumps, ramp
from latentface.head.model import HeadModel
from latentface.ops.raster import Raster, normals
from latentface.ops.warp import block_sums, enlarge, keep_inside, relax

CELL = 0.1  # step of the grid, as a part of the inter-ocular distance
FADE = 0.7  # length over which the field fades outside the head, the same
SLACK = 1.6  # that length is at least this multiple of the longest displacement
NECK, JAW = 0.8, 0.9  # the neck's length below the chin, and half the width of the jaw, the same
COLLAR = 0.8  # how steeply the collar rises from the chin to the sides of the jaw
REACH = 3.0  # beyond this many lengths nothing moves
DATA = 20.0  # weight of the mesh's field relative to smoothness
WINDOW = 1.3  # the similarity's window fades over so many lengths
HAIR = 1.2  # how much wider than the skull the window of the similarity is
LIDS = tuple((which, side) for which in ("upper", "lower") for side in ("left", "right"))
STILL = 0.02  # centimetres: vertices that expressions move by less belong to the skull
MOVED = 0.02  # pixels: a head that moves less does not move
#: Largest displacement, as a part of the distance to the photo's border: what lies beside the border is stretched, by 3
#: at most, and the outermost pixels are not smeared into bars.
FARTHEST = 2 / 3
APART = 1.5  # pixels that the motions of adjacent ones differ by if one piece of skin hides another
ACCURACY, ROUNDS = 2e-4, 400  # convergence of the field beyond the head: change in pixels, and largest number of rounds


@dataclass(frozen=True)
class Scene:
    """A head as it lies in a photo.

    Attributes:
        model, surface, before: the head, its occluding surface, and its vertices in the photo, [V, 3].
        size: the photo's height and width. unit: its inter-ocular distance in pixels.
        used: the vertices of the skin above the neck. skull: of the skull. still: those that no expression moves.
        box: the head's box. layer: what is seen in it: 0 skin, 1 mouth, 2 and 3 eyes, -1 none of the head, [H, W].
        trust: confidence in the position of each vertex, [V]. normals: the skin's, [V, 3].
        others: landmarks [68, 2] of the photo's other faces, which do not move.
    """

    model: HeadModel
    surface: Surface
    before: Float32Array
    size: tuple[int, int]
    unit: float
    used: Int64Array
    skull: Int64Array
    still: Int64Array
    box: Box
    layer: npt.NDArray[np.int8]
    trust: Float32Array
    normals: Float32Array
    others: Sequence[Float64Array] = ()

    @classmethod
    def of(
        cls, model: HeadModel, before: Float32Array, height: int, width: int, others: Sequence[Float64Array] = ()
    ) -> Scene:
        """The scene of a head in a photo of that size."""
        surface, used, skull, still = _parts(model)
        box = Box.around(before[used, :2], 2, height, width).or_pixel
        seen = surface.seen(before, box)
        unit = eye_distance(model, before)
        nearest = box.read(seen.depth, before[:, :2], -np.inf)
        # ears, and everything behind them, are rarely where the mesh has them
        trust = (before[:, 2] >= nearest - 0.12 * unit) * ramp(model.neutral[:, 2], 3.0, 5.5)
        trust *= ramp(model.neutral[:, 1], -9.0, -7.5) * (1 - ramp(model.regions["ears"], 0.0, 0.3))
        return cls(
            model, surface, before, (height, width), unit, used, skull, still, box, surface.layers(seen),
            trust.astype(np.float32), normals(before, surface.skin), others,
        )  # fmt: skip

    @property
    def facing(self) -> Float32Array:
        """How much the skin faces the viewer at each vertex, [V]."""
        return self.normals[:, 2]

    def confidence(self, after: Float32Array) -> Float32Array:
        """Confidence in motions, [V], given the normals after them: of skin visible before and after; 0 on the neck."""
        trust: Float32Array = self.trust * ramp(np.minimum(self.facing, after[:, 2]), 0.15, 0.5)
        return np.maximum(trust, self._features)

    def carried(self, after: Float32Array, places: npt.NDArray[np.floating], rise: float = 0.0) -> Float32Array:
        """How far places [..., 2] move with the head: 1 down to the chin, and 0 from the collar on.

        Below the sides of the jaw this ends so much higher: `rise` times as much as they lie beside the chin.

        Shoulders keep still while a head tilts; between, the neck bends. Bodies stand straighter than heads do, so
        down is the direction along a side of the photo that is nearest to the head's own.
        """
        nose, chin = self.model.landmarks[[27, 8]]
        axis = int(np.argmax(np.abs(self.before[chin, :2] - self.before[nose, :2])))
        away = places - (self.before[chin, :2] + after[chin, :2]) / 2
        below = away[..., axis] * np.sign(self.before[chin, axis] - self.before[nose, axis])
        beside = np.abs(away[..., 1 - axis])
        wide = np.maximum(beside - JAW * self.unit, 0)
        length = max(NECK * self.unit, SLACK * float(np.linalg.norm(self.before[chin, :2] - after[chin, :2])))
        shoulders = 0.75 * wide + rise * (beside - wide)  # they rise towards the neck
        return 1 - ramp(((below + shoulders) / length).astype(np.float32), 0.0, 1.0)

    def held(self, box: Box, places: npt.NDArray[np.floating]) -> Float32Array | None:
        """How much places [..., 2] of a box belong to other heads, 0 to 1; None if there are none."""
        near = within((box.left, box.top, box.right, box.bottom), self.others)
        return held(places, self.before[self.model.landmarks, :2], near) if near else None

    @cached_property
    def solid(self) -> Float64Array:
        """The least-squares operator [4, N] from the places of `still` after a change, [N, 3], to their affine map."""
        inverse: Float64Array = np.asarray(np.linalg.pinv(_homogeneous(self.before[self.still])), np.float64)
        return inverse

    @cached_property
    def upright(self) -> Float64Array:
        """The affine map [4, 3] from the mean head, in centimetres, to this one in the photo, by least squares."""
        still = _homogeneous(self.model.neutral[self.still])
        found = np.linalg.lstsq(still, self.before[self.still].astype(np.float64), rcond=None)[0]
        return np.asarray(found, np.float64)

    @cached_property
    def teeth(self) -> tuple[Int64Array, Int64Array]:
        """The vertices of the upper and of the lower teeth."""
        return np.unique(self.model.part("teeth_upper")), np.unique(self.model.part("teeth_lower"))

    @cached_property
    def lips(self) -> Int64Array:
        """The vertices of the mouth's rim and of the landmarks of lips."""
        return np.concatenate([self.model.loops["mouth"], self.model.landmarks[48:68]])

    def lips_box(self, after: Float32Array) -> Box:
        """The lips of a head that moved, and a margin; it may be empty."""
        return Box.around(after[self.lips, :2], 0.06 * self.unit, *self.size)

    def turn(self, after: Float32Array) -> Float64Array:
        """The affine map [4, 3] of a skull that moved, from its places before to those after, by least squares."""
        return np.asarray(self.solid @ after[self.still].astype(np.float64), np.float64)

    def turned(self, after: Float32Array, points: npt.NDArray[np.floating]) -> Float32Array:
        """Where points [N, 3] of a head lie after its turn, without its change of expression, [N, 3]."""
        placed: Float32Array = (_homogeneous(points) @ self.turn(after)).astype(np.float32)
        return placed

    def placed(self, points: npt.ArrayLike) -> Float64Array:
        """Where points [N, 3] of the mean head, in centimetres, lie in the photo, [N, 3]."""
        return np.asarray(_homogeneous(np.asarray(points)) @ self.upright, np.float64)

    def moved_lips(self, after: Float32Array) -> float:
        """How far lips and jaw moved against the skull, `Opening.amount`."""
        moving = np.concatenate([self.lips, self.teeth[1]])
        apart = after[moving, :2] - self.turned(after, self.before[moving])[:, :2]
        return float(ramp(np.linalg.norm(apart, axis=1).max(), 0.15, 0.6))

    @cached_property
    def unfolding(self) -> Float32Array:
        """0 on the lids and 1 elsewhere, [V]: skin that a lid unfolds was not visible before."""
        lids = np.max([self.model.regions[f"{which}_lid_{side}"] for which, side in LIDS], axis=0)
        return 1 - ramp(lids, 0.0, 0.06)

    @cached_property
    def _features(self) -> Float32Array:
        """How much vertices belong to lips or lids, which always have full confidence, [V]."""
        lips = np.max([self.model.regions[name] for name in ("upper_lip", "lower_lip", "inner_mouth")], axis=0)
        lids = np.max([self.model.regions[f"{which}_lid_{side}"] for which, side in LIDS], axis=0)
        return np.maximum(ramp(lips, 0.05, 0.4), ramp(lids, 0.05, 0.3))


@lru_cache(maxsize=4)
def _parts(model: HeadModel) -> tuple[Surface, Int64Array, Int64Array, Int64Array]:
    """Surface, `used`, `skull` and `still` of a model (see `Scene`); kept for the last few models."""
    surface = Surface.of(model)
    used = np.unique(surface.skin)
    used = used[model.neutral[used, 1] > -8.0]  # the bust below stays with the photo
    skull = used[model.neutral[used, 1] > 2.0]
    moved = np.abs(model.expressions[:, skull]).max(axis=(0, 2))
    return surface, used, skull, skull[moved < STILL]


@dataclass(frozen=True)
class Field:
    """Displacements d in a box of the photo: the source of the pixel at p is p + d(p).

    Attributes:
        box: where; outside nothing moves.
        shift: d in pixels, [H, W, 2].
        mesh: that of the head alone, where its skin is seen, [H, W, 2].
        layer: what is seen after the change: 0 skin, 1 mouth, 2 and 3 eyes, -1 none of the head, [H, W].
        raster: the head after the change. normals: its skin's, [V, 3]. trust: how far each vertex counts, [V].
    """

    box: Box
    shift: Float32Array
    mesh: Float32Array
    layer: npt.NDArray[np.int8]
    raster: Raster
    normals: Float32Array
    trust: Float32Array

    def overlaps(self, surface: Surface) -> BoolArray:
        """Pixels on either side of an edge at which skin hides other skin, [H, W], but not where both lips meet."""
        skin, lip = self.layer == 0, surface.lips(self.raster)
        return find_jumps(self.shift, APART, lambda a, b: skin[a] & skin[b] & (lip[a] * lip[b] >= 0))


def find_field(scene: Scene, after: Float32Array) -> Field | None:
    """The field of a head's motion in its photo, or None if no pixel moves."""
    shift = scene.before[:, :2] - after[:, :2]
    longest = float(np.sqrt(np.square(shift[scene.used]).sum(axis=1).max()))
    if longest < MOVED:
        return None
    fade = max(FADE * scene.unit, SLACK * longest)
    reach = np.concatenate([scene.before[scene.used, :2], after[scene.used, :2]])
    box = Box.around(reach, REACH * fade, *scene.size)
    if not box.width or not box.height:
        return None
    seen = scene.surface.seen(after, box)
    facing = normals(after, scene.surface.skin)
    trust = scene.confidence(facing)
    mesh = seen.interpolate(scene.surface.closed(np.column_stack([shift, trust])))
    layer = scene.surface.layers(seen)
    theirs = scene.held(box, box.places()) if scene.others else None
    if theirs is not None:
        mesh[..., 2] *= 1 - theirs
        layer = np.where(theirs > 0.5, np.int8(-1), layer)
    step = max(2, round(CELL * scene.unit))
    blocks = block_middles(box, step)
    turned = Turn.between(scene, after).at(scene, after, blocks, fade)
    shift = _continue(mesh, layer, turned, scene.carried(after, blocks), scene.held(box, blocks), step, fade)
    inside = keep_inside(shift, box.left, box.top, scene.size, FARTHEST)
    return Field(box, inside, mesh[..., :2], layer, seen, facing, trust)


@dataclass(frozen=True)
class Turn:
    """The similarity of the skull from positions after the change to those before: p -> matrix p + offset."""

    matrix: Float64Array
    offset: Float64Array
    middle: Float64Array
    radii: Float64Array

    @classmethod
    def between(cls, scene: Scene, after: Float32Array) -> Turn:
        """The similarity by the vertices that no expression moves."""
        skull = scene.before[scene.skull].astype(np.float64)
        solid = scene.turn(after)
        u, s, vt = np.linalg.svd(solid[:2, :2].T)
        matrix = np.linalg.inv(u @ vt * s.mean())
        middle = np.mean(extent(skull), axis=0)
        there = (_homogeneous(middle[None]) @ solid)[0]
        offset = middle[:2] - matrix @ there[:2]
        low, high = extent(after[scene.used, :2])
        return cls(matrix, offset, (low + high) / 2, (high - low) / 2)

    def at(self, scene: Scene, after: Float32Array, places: Float64Array, fade: float) -> Float64Array | None:
        """Its displacement at places [..., 2] within a window around head and hair; None if there is none.

        Collars do not turn with the head: beside the neck it is that of the chin.

        fade: the length over which the window fades.
        """
        if (
            np.abs(self.matrix - np.eye(2)).max() < 1e-3
            and np.abs(self.matrix @ self.middle + self.offset - self.middle).max() < 0.2
        ):
            return None
        chin = after[scene.model.landmarks[8], :2].astype(np.float64)
        along = self.matrix @ chin + self.offset - chin
        turning = (places - chin) @ (self.matrix - np.eye(2)).T
        moved = along + turning * scene.carried(after, places, COLLAR)[..., None]
        away = np.linalg.norm((places - self.middle) / (self.radii * HAIR), axis=2)
        outside = (away - 1) * self.radii.mean() * HAIR
        windowed: Float64Array = moved * (1 - ramp(outside, 0, WINDOW * fade))[..., None]
        return windowed


def _homogeneous(points: npt.NDArray[np.floating]) -> Float64Array:
    return np.column_stack([points, np.ones(len(points))]).astype(np.float64)


def _continue(
    mesh: Float32Array,
    layer: npt.NDArray[np.int8],
    fixed: Float64Array | None,
    carried: Float32Array,
    theirs: Float32Array | None,
    step: int,
    fade: float,
) -> Float32Array:
    """A smooth field [H, W, 2] that follows the mesh where it is trusted, and fades to that of the turn elsewhere.

    On other heads it is 0.

    Args:
        mesh: displacements and how far they are trusted, [H, W, 3].
        layer: what is seen, [H, W]; the skin, 0, counts.
        fixed: the turn's displacement, to which the field fades, at the middles of the grid's cells, [R, C, 2].
        carried: how far the cells move with the head at all, [R, C].
        theirs: how far the cells belong to other heads, [R, C].
        step: pixels from cell to cell of the grid on which the field is found.
        fade: the length over which it fades.
    """
    summed = block_sums(mesh, layer, step) / step**2
    rows, columns = summed.shape[:2]
    known, weight = summed[..., :2], summed[..., 2]
    if fixed is not None:
        known = known - weight[..., None] * fixed
    cells = fade / step
    far = ndimage.distance_transform_edt(weight < 0.3) / cells if weight.any() else np.ones((rows, columns))
    if theirs is not None:
        weight = weight + theirs
        known = known if fixed is None else known - theirs[..., None] * fixed
    diagonal = DATA * weight + np.clip(far * 2, 0.05, 1) / cells**2
    start = known / np.maximum(weight, 1e-3)[..., None]
    omega = 2 / (1 + np.sqrt(0.5) / cells)  # about the best where values fade over so many cells
    coarse = relax(diagonal, DATA * known, start, omega, ACCURACY, ROUNDS)
    coarse *= 1 - ramp(far, REACH * 0.5, REACH * 0.95)[..., None]
    if fixed is not None:
        coarse += fixed
    coarse *= (carried if theirs is None else carried * (1 - theirs))[..., None]
    return enlarge(coarse.astype(np.float32), step, mesh, layer)
