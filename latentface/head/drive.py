"""Moving a photo's own pixels with a head that is fitted to it.

Coordinates are photo pixels (column, row; integers are pixels' centres), depth grows towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.errors import UsageError
from latentface.head.eye_contour import Eye, find_eyes, mesh_eye
from latentface.head.eyes import BLEND, BROWS, FOLDS, SIDES, Blink, find_blink
from latentface.head.field import Field, Scene, find_field
from latentface.head.geometry import Box, ramp
from latentface.head.interior import Opening, Shown, fill, find_opening, find_shown
from latentface.head.model import HeadModel
from latentface.head.shading import find_light, relight
from latentface.head.spectacles import Spectacles, find_spectacles, hold
from latentface.ops.raster import sample

STILL = 2e-3  # pixels: what moves less is left alone
BROW = 0.05  # inter-ocular distances: half of their thickness
_FARTHEST = 2 / 3  # of the way to the photo's border: no displacement reads beyond it
SAMPLES = 3  # along each side of a pixel that lies on the edge of a lip
#: Paints an opened mouth, [H, W, 3] in 0 to 255, from what is known of it and a plain filling of the same shape.
Painter = Callable[[Opening, Float32Array], Float32Array]


@dataclass(frozen=True)
class Driven:
    """A photo that was moved.

    Attributes:
        photo: the result, uint8 RGB [H, W, 3].
        box: outside it every pixel is the photo's own; None if nothing moved at all.
        opening: the opened mouth, or None if its lips are closed.
        field: where pixels came from, or None if nothing moved.
        hole: how much of each pixel of the opening's box is open mouth, [H, W], or None if the lips are closed.
    """

    photo: Pixels
    box: Box | None = None
    opening: Opening | None = None
    field: Field | None = None
    hole: Float32Array | None = None


def drive(
    photo: Pixels, model: HeadModel, before: npt.ArrayLike, after: npt.ArrayLike, paint: Painter | None = None
) -> Driven:
    """Move a photo's pixels as a head moves; for many moves of one photo, keep a `Driver`.

    Args:
        photo: uint8 RGB [H, W, 3].
        model: the head.
        before: the fitted head's vertices, as they lie in the photo, [V, 3].
        after: where they are to lie, [V, 3].
        paint: what paints the opened mouth; None for the plain filling.

    Raises:
        UsageError: the photo is not uint8 RGB, or the vertices are not the model's.
    """
    return Driver(photo, model, before).drive(after, paint)


class Driver:
    """A photo and the head that is fitted to it, ready to move.

    Args:
        photo: uint8 RGB [H, W, 3].
        model: the head.
        before: the head's vertices as they lie in the photo, [V, 3].

    Raises:
        UsageError: the photo is not uint8 RGB, or the vertices are not the model's.
    """

    def __init__(self, photo: Pixels, model: HeadModel, before: npt.ArrayLike) -> None:
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise UsageError(f"the photo is {photo.dtype} {list(photo.shape)}: expected uint8 RGB [H, W, 3]")
        self.photo, self.model = photo, model
        self.scene = Scene.of(model, _check(model, before), photo.shape[0], photo.shape[1])

    @cached_property
    def eyes(self) -> tuple[Eye, Eye]:
        """The eyes as the photo shows them, left and right."""
        return find_eyes(self.photo, *(mesh_eye(self.model, self.scene.before, side) for side in ("left", "right")))

    @cached_property
    def light(self) -> Float64Array:
        """The light on the face, [4]."""
        return find_light(self.photo, self.scene)

    @cached_property
    def is_grey(self) -> bool:
        """Whether the photo's head has no colour at all."""
        head = self.photo[self.scene.box.slices]
        return bool((head == head[..., :1]).all())

    @cached_property
    def white(self) -> Float32Array:
        """The photo's value of a white surface in the face's light, [3], as far as its brighter skin tells."""
        points, unit = self.scene.before[self.model.landmarks, :2], self.scene.unit
        beside = points[[1, 2, 14, 15]] * 0.4 + points[[31, 31, 35, 35]] * 0.6
        steps = np.stack(np.meshgrid(*[np.linspace(-0.08, 0.08, 5) * unit] * 2), axis=-1).reshape(-1, 2)
        places = np.concatenate([beside, points[27:31]])[:, None] + steps
        bright = np.quantile(sample(self.photo, places).mean(axis=-1), 0.8)
        return np.full(3, np.clip(110 + 0.55 * bright, 0, 255), np.float32)

    @cached_property
    def spectacles(self) -> Spectacles | None:
        """The spectacles that the photo shows, or None."""
        return find_spectacles(self.photo, self.scene, self.eyes)

    @cached_property
    def folds(self) -> list[tuple[float, float]]:
        """How far over and below each eye its lids' skin is stretched: not as far as brows or frames of spectacles."""
        found = []
        for eye, side in zip(self.eyes, SIDES, strict=True):
            u = eye.across(np.linspace(0.2, 0.8, 7))
            margins = eye.margins(u)
            brow_u, brow_v = eye.frame(self.scene.before[self.model.landmarks[BROWS[side]], :2])
            order = np.argsort(brow_u)
            brow = np.interp(u, brow_u[order], brow_v[order]) - BROW  # their lower edge
            gaps = [float((brow - margins[0]).min()), FOLDS[1] * 2]
            if self.spectacles is not None:
                box, free = self.spectacles.box, self.spectacles.distance / self.scene.unit
                gaps = [
                    min(gap, float(box.read(free, eye.places(u, v), 1.0).min()))
                    for gap, v in zip(gaps, margins, strict=True)
                ]
            over, below = (min(max(0.85 * gap, 0.04), fold) for gap, fold in zip(gaps, FOLDS, strict=True))
            found.append((over, below))
        return found

    @cached_property
    def shown(self) -> Shown:
        """What the photo shows of the mouth's inside."""
        return find_shown(self.photo, self.scene)

    def drive(self, after: npt.ArrayLike, paint: Painter | None = None) -> Driven:
        """Move the photo's pixels as the head moves to `after`, its vertices [V, 3]; see `drive`.

        Raises:
            UsageError: the vertices are not the model's.
        """
        photo, model, scene, to = self.photo, self.model, self.scene, _check(self.model, after)
        field = find_field(scene, to)
        if field is None:
            return Driven(photo.copy())
        box = field.box
        field = replace(field, shift=keep_inside(field.shift, box.places(), (photo.shape[1], photo.shape[0])))
        blend = BLEND if self.spectacles is None else 0.25 * BLEND  # frames do not move with lids
        blinks = [
            find_blink(eye, model, scene.before, to, side, scene.size, folds, blend)
            for eye, side, folds in zip(self.eyes, SIDES, self.folds, strict=True)
        ]  # fmt: skip
        if self.spectacles is not None:
            hold(self.spectacles, scene, to, field.shift, box)
        shift = _with_lids(field, blinks, self._beside_frames)
        moved = photo[box.slices].astype(np.float32)
        far = (np.abs(shift[..., 0]) > STILL) | (np.abs(shift[..., 1]) > STILL)
        moved[far] = sample(photo, (box.places() + shift)[far]) * relight(self.light, scene, field)[far][:, None]
        for blink in blinks:
            if blink.amount:
                _open_eye(moved, photo, field, blink)
        opening = find_opening(photo, scene, self.shown, to, field, self.white)
        hole = None
        if opening is not None and opening.amount:
            hole = self._open_mouth(moved, to, field, opening, paint)
        result = photo.copy()
        result[box.slices] = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
        return Driven(result, box, opening, field, hole)

    def _beside_frames(self, box: Box) -> Float32Array | float:
        """0 where the frames of spectacles lie, 1 where none are near, [H, W]."""
        if self.spectacles is None:
            return 1.0
        distance = self.spectacles.box.read(self.spectacles.distance, box.places(), np.inf)
        return ramp(np.minimum(distance / self.scene.unit, 1), 0.02, 0.06)

    def _open_mouth(
        self, moved: Float32Array, after: Float32Array, field: Field, opening: Opening, paint: Painter | None
    ) -> Float32Array:
        """Put the mouth's inside behind the lips, with a smooth edge between them; returns `Driven.hole`."""
        filling = fill(opening, self.scene, after)
        painted = filling if paint is None else paint(opening, filling)
        if self.is_grey:
            painted = np.repeat(painted.mean(axis=2, keepdims=True), 3, axis=2)
        kept = opening.kept[..., None]
        inside = kept * opening.own + (1 - kept) * painted
        there, here = field.box.shared(opening.box)
        share, skin = self._lips(moved, after, field, opening.box)
        hole = np.zeros(opening.kept.shape, np.float32)
        hole[here] = opening.amount * share[here]
        share = hole[here][..., None]
        moved[there] = share * inside[here] + (1 - share) * skin[here]
        return hole

    def _lips(
        self, moved: Float32Array, after: Float32Array, field: Field, box: Box
    ) -> tuple[Float32Array, Float32Array]:
        """How much of each pixel in a box is open mouth, [H, W], and the skin of what is not, [H, W, 3]."""
        surface, shown = self.scene.surface, self.shown
        seen = surface.seen(after, box, SAMPLES)
        shift = seen.interpolate(surface.closed(self.scene.before[:, :2] - after[:, :2]))
        places = box.places(SAMPLES)
        layers = surface.layers(seen)
        mouth = layers == 1
        # lips go on inwards as far as the photo shows them there
        shift[mouth] = _nearest(shift, layers == 0, mouth)
        source = places + shift
        inwards = mouth & shown.is_lip(source, _is_above(layers == 0, mouth, places))
        # and teeth that the fit takes for lip belong to what lies behind
        flat = (box.height * SAMPLES, box.width * SAMPLES)
        teeth = _without_specks(((layers == 0) & shown.is_inside(source)).reshape(flat), mouth.reshape(flat))
        hole: BoolArray = (mouth & ~inwards) | teeth.reshape(mouth.shape)
        blocks = (box.height, SAMPLES, box.width, SAMPLES)
        share = hole.reshape(blocks).mean(axis=(1, 3), dtype=np.float32)
        here, there = box.shared(field.box)
        skin = np.zeros((box.height, box.width, 3), np.float32)
        skin[here] = moved[there]
        mixed = (share < 1) & (hole | mouth).reshape(blocks).any(axis=(1, 3))
        places = source.reshape(*blocks, 2).transpose(0, 2, 1, 3, 4)[mixed]
        counts = ~hole & (mouth | (layers == 0))
        weight = counts.reshape(blocks).transpose(0, 2, 1, 3)[mixed].astype(np.float32)[..., None]
        total = weight.sum(axis=(1, 2))
        colours = (sample(self.photo, places) * weight).sum(axis=(1, 2)) / np.maximum(total, 1)
        skin[mixed] = np.where(total > 0, colours, skin[mixed])
        return share, skin


def keep_inside(shift: Float32Array, places: Float32Array, size: tuple[int, int]) -> Float32Array:
    """A displacement that reads nothing from outside the photo, of which nothing is known: shift and places [..., 2].

    Nowhere it reaches beyond two thirds of the way to the photo's border: what lies beside the border is stretched, by
    3 at most, and its last pixels are not drawn out into bars. size: the photo's width and height.
    """
    last = np.array(size, np.float32) - 1
    limit = np.float32(_FARTHEST) * np.where(shift > 0, last - places, places).clip(0)
    share = np.abs(shift) / np.maximum(limit, 1e-3)
    bent = shift / (1 + share.clip(max=1e4) ** 8) ** (1 / 8)  # exact to .1 % up to a third of the way
    return np.asarray(bent.clip(-limit, limit), np.float32)


def _without_specks(inside: BoolArray, mouth: BoolArray) -> BoolArray:
    """Teeth that a fit takes for lip, without specks that are thin or apart from the mouth: highlights on a lip."""
    broad = ndimage.binary_opening(inside, iterations=SAMPLES) | mouth
    parts, _ = ndimage.label(broad)
    behind = np.unique(parts[mouth])
    kept: BoolArray = np.isin(parts, behind[behind > 0]) & inside if len(behind) else inside
    return kept


def _nearest(values: Float32Array, known: BoolArray, wanted: BoolArray) -> Float32Array:
    """Values [H, W, C] of the nearest known samples for each wanted one, [N, C]."""
    if not known.any():
        return values[wanted]
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    nearest: Float32Array = values[rows[wanted], columns[wanted]]
    return nearest


def _is_above(known: BoolArray, wanted: BoolArray, places: Float32Array) -> BoolArray:
    """Whether the nearest known sample of each wanted one lies above it, [H, W]."""
    above = np.zeros(known.shape, bool)
    above[wanted] = _nearest(places, known, wanted)[:, 1] < places[wanted][:, 1]
    return above


def _with_lids(field: Field, blinks: Sequence[Blink], free: Callable[[Box], Float32Array | float]) -> Float32Array:
    """The field with the lids' own motion, as far as `free` lets it count."""
    shift: Float32Array = field.shift.copy()
    for blink in blinks:
        there, here = field.box.shared(blink.box)
        weight = (blink.weight * blink.amount * free(blink.box))[here][..., None]
        skin = np.where(blink.over[here][..., None] > 0.5, blink.upper[here], blink.lower[here])
        shift[there] = (1 - weight) * shift[there] + weight * skin
    return shift


def _open_eye(moved: Float32Array, photo: Pixels, field: Field, blink: Blink) -> None:
    there, here = field.box.shared(blink.box)
    places, over = blink.box.places()[here], blink.over[here]
    seam = (over > 0) & (over < 1)  # both lids share these pixels
    lids = [sample(photo, (places + lid[here])[seam]) for lid in (blink.upper, blink.lower)]
    both = over[seam, None] * lids[0] + (1 - over[seam, None]) * lids[1]
    weight = (blink.weight * blink.amount)[here][seam, None]
    moved[there][seam] = (1 - weight) * moved[there][seam] + weight * both
    share = (blink.open * blink.amount)[here][..., None]
    ball = sample(photo, blink.eyeball[here]) * blink.shade[here][..., None]
    moved[there] = (1 - share) * moved[there] + share * ball


def _check(model: HeadModel, vertices: npt.ArrayLike) -> Float32Array:
    made = np.asarray(vertices, np.float32)
    if made.shape != model.neutral.shape:
        raise UsageError(f"vertices have shape {list(made.shape)}: the model's are {list(model.neutral.shape)}")
    return made
