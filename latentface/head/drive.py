"""Moving a photo's own pixels with a head that is fitted to it.

Coordinates are photo pixels (column, row; integers are pixels' centres), depth grows towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import UsageError
from latentface.head.background import Background, find_background
from latentface.head.creases import (
    FaceMap,
    crease,
    fade,
    find_fading,
    find_likeness,
    find_relief,
    pixels_a_centimetre,
    roughness,
)
from latentface.head.eye_contour import Eye, are_shut, find_eyes, mesh_eye
from latentface.head.eyes import BLEND, BROWS, FOLDS, SIDES, Blink, find_blink, follow, open_eye, with_lids
from latentface.head.field import Field, Scene, find_field
from latentface.head.geometry import Box, ramp
from latentface.head.in_front import Finders
from latentface.head.interior import SLIVER, Opening, dark, fill, find_opening, shows_row
from latentface.head.lids import LidSkin, find_lid_skin
from latentface.head.lips import close_mouth, cut_lips
from latentface.head.model import HeadModel
from latentface.head.motion import Motion
from latentface.head.occluders import Occluders, find_occluders
from latentface.head.shading import find_light, relight
from latentface.head.shown_mouth import Shown, find_shown
from latentface.head.spectacles import Spectacles, avoid, find_spectacles, hold
from latentface.ops.raster import sample

#: Largest turn of a photo's head, in degrees of yaw, pitch and roll: newly visible parts are missing in the photo.
MOST_TURN = (20.0, 15.0, 15.0)
COLOURLESS = 2  # largest difference between the channels of a photo without colour
OUTLINE = 0.02  # inter-ocular distances: smaller motions around the head are not seen in its background
BROW = 0.05  # inter-ocular distances: half of their thickness
#: Inter-ocular distances from an iris beyond which lids have no effect if there are spectacles (frames and brows).
BEHIND_GLASS = (0.2, 0.26)
BESIDE_FRAMES = (0.005, 0.025)  # inter-ocular distances: width over which the effect of lids grows beside frames
DARK_GLASS = 0.35  # light below both eyes, as a part of that of the cheeks, from which on spectacles are sunglasses
#: Paints an opened mouth, [H, W, 3] in 0 to 255, from its description and a plain filling of the same shape.
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
        lips: the skin that the hole's edge cuts, [H, W, 3] of the opening's box, or None if the lips are closed.
        motion: how pixels moved, or None if nothing did.
    """

    photo: Pixels
    box: Box | None = None
    opening: Opening | None = None
    field: Field | None = None
    hole: Float32Array | None = None
    lips: Float32Array | None = None
    motion: Motion | None = None


@dataclass(frozen=True, eq=False)
class Steady:
    """Measurements of one frame of a clip that later frames reuse; see `Driver` for each.

    eyes: start of the search for eyes. mesh_eyes: those of the head. light, white, roughness: used unchanged.
    worn: whether there are spectacles. spectacles: those of the frame before. shut: the lids are closed, so that eyes
    are not searched but follow the head.
    """

    eyes: tuple[Eye, Eye]
    mesh_eyes: tuple[Eye, Eye]
    light: Float64Array
    white: Float32Array
    roughness: float
    lid_skin: tuple[LidSkin, LidSkin]
    worn: bool
    spectacles: Spectacles | None = None
    shut: bool = False


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
    """A photo and the head fitted to it, prepared for moves.

    Args:
        photo: uint8 RGB [H, W, 3].
        model: the head.
        before: the head's vertices as they lie in the photo, [V, 3].
        others: landmarks [68, 2] of the photo's other faces, which do not move.
        steady: from another frame of the same clip, so that the frames are consistent.
        finders: the networks that find spectacles, which keep their shape, and occluders, which do not move; without
        them,
            neither is searched for.

    Raises:
        UsageError: the photo is not uint8 RGB, or the vertices are not the model's.
    """

    def __init__(
        self,
        photo: Pixels,
        model: HeadModel,
        before: npt.ArrayLike,
        others: Sequence[Float64Array] = (),
        steady: Steady | None = None,
        finders: Finders | None = None,
    ) -> None:
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise UsageError(f"the photo is {photo.dtype} {list(photo.shape)}: expected uint8 RGB [H, W, 3]")
        self.photo, self.model, self._steady, self._finders = photo, model, steady, finders
        self.scene = Scene.of(model, _check(model, before), photo.shape[0], photo.shape[1], others)

    @cached_property
    def eyes(self) -> tuple[Eye, Eye]:
        """The eyes as the photo shows them, left and right."""
        steady = self._steady
        if steady is None or not steady.shut:
            return find_eyes(self.photo, *self._mesh_eyes, None if steady is None else steady.eyes)
        left, right = map(follow, steady.eyes, steady.mesh_eyes, self._mesh_eyes)
        return left, right

    @cached_property
    def _mesh_eyes(self) -> tuple[Eye, Eye]:
        """The eyes as the head has them, left and right."""
        left, right = (mesh_eye(self.model, self.scene.before, side) for side in SIDES)
        return left, right

    @cached_property
    def light(self) -> Float64Array:
        """The light on the face, [4]."""
        return find_light(self.photo, self.scene) if self._steady is None else self._steady.light

    @cached_property
    def is_grey(self) -> bool:
        """Whether the photo's head has no colour."""
        red, green, blue = np.moveaxis(self.photo[self.scene.box.slices], 2, 0)
        most, least = (either(either(red, green), blue) for either in (np.maximum, np.minimum))
        return int((most - least).max(initial=0)) <= COLOURLESS

    def as_colourless(self, picture: Pixels) -> Pixels:
        """The changed photo, uint8 [H, W, 3], without colour if its head had none, since painting may add some."""
        if not self.is_grey:
            return picture
        grey = np.rint(picture.mean(axis=2, keepdims=True)).astype(np.uint8)
        made: Pixels = np.where((picture == self.photo).all(axis=2, keepdims=True), picture, grey)
        return made

    @cached_property
    def white(self) -> Float32Array:
        """The photo's value of a white surface in the face's light, [3], as far as its brighter skin tells."""
        if self._steady is not None:
            return self._steady.white
        points, unit = self.scene.before[self.model.landmarks, :2], self.scene.unit
        steps = np.stack(np.meshgrid(*[np.linspace(-0.08, 0.08, 5) * unit] * 2), axis=-1).reshape(-1, 2)
        places = np.concatenate([self._cheeks, points[27:31]])[:, None] + steps
        bright = np.quantile(sample(self.photo, places).mean(axis=-1), 0.8)
        return np.full(3, np.clip(110 + 0.55 * bright, 0, 255), np.float32)

    @property
    def _cheeks(self) -> Float32Array:
        """Places on both cheeks beside the nose, [4, 2]."""
        points = self.scene.before[self.model.landmarks, :2]
        cheeks: Float32Array = points[[1, 2, 14, 15]] * 0.4 + points[[31, 31, 35, 35]] * 0.6
        return cheeks

    @cached_property
    def has_shut_eyes(self) -> bool:
        """Whether the lids are closed, so that nothing is known of the eyes behind them."""
        if self._steady is not None:
            return self._steady.shut
        return not self.has_dark_glasses and are_shut(self.photo, self.eyes)

    @cached_property
    def has_dark_glasses(self) -> bool:
        """Whether the eyes lie behind dark glass, which keeps its shape with all that is seen in it."""
        if self.spectacles is None:
            return False
        cheeks = float(np.median(sample(self.photo, self._cheeks[:, None]).mean(axis=-1)))
        return max(float(skin.tone.mean()) for skin in self.lid_skin) < DARK_GLASS * cheeks

    @cached_property
    def spectacles(self) -> Spectacles | None:
        """The spectacles that the photo shows, which go with the head, or None."""
        steady, finders = self._steady, self._finders
        if finders is None or (steady is not None and not steady.worn):
            return None
        before = None if steady is None or steady.spectacles is None else steady.spectacles.glimpse
        return find_spectacles(self.photo, self.scene, self.eyes, finders.spectacles, steady is not None, before)

    @cached_property
    def occluders(self) -> Occluders | None:
        """What else the photo shows in front of the face, which stays where it is, or None."""
        landmarks = self.scene.before[self.model.landmarks, :2].astype(float)
        return None if self._finders is None else find_occluders(self.photo, landmarks, self._finders.occluders)

    @cached_property
    def behind(self) -> Pixels:
        """The photo without static occluders of the face: the part that moves."""
        still = self.occluders
        return self.photo if still is None else still.behind(self.photo)

    @cached_property
    def background(self) -> Background | None:
        """What stands behind the head, and keeps still; in a clip of its own, where heads move little, none."""
        if self._finders is None or self._finders.matte is None or self._steady is not None:
            return None
        scene = self.scene
        landmarks = scene.before[self.model.landmarks, :2].astype(float)
        return find_background(self.behind, landmarks, scene.layer >= 0, scene.box, self._finders.matte)

    @cached_property
    def folds(self) -> list[tuple[float, float]]:
        """How far above and below each eye the skin of lids is stretched, limited by brows and by spectacles."""
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
    def lid_skin(self) -> tuple[LidSkin, LidSkin]:
        """The skin of the upper lids, left and right."""
        if self._steady is not None:
            return self._steady.lid_skin
        left, right = (
            find_lid_skin(self.photo, eye, over) for eye, (over, _) in zip(self.eyes, self.folds, strict=True)
        )
        return left, right

    @cached_property
    def shown(self) -> Shown:
        """What the photo shows of the mouth's inside."""
        return find_shown(self.photo, self.scene)

    @cached_property
    def shows_row(self) -> float:
        """Whether the photo shows a row of teeth that is worth keeping, 0 to 1."""
        return shows_row(self.shown, self.scene.unit)

    @cached_property
    def likeness(self) -> Float32Array:
        """The likeness of the photo to skin in the head's box, [H, W]."""
        return find_likeness(self.photo, self.scene)

    @cached_property
    def roughness(self) -> float:
        """The relative depth of folds in this skin; 1 for an adult man."""
        return roughness(self.photo, self.scene) if self._steady is None else self._steady.roughness

    @property
    def steady(self) -> Steady:
        """The measurements that the next frame of a clip reuses."""
        worn = self.spectacles
        return Steady(
            self.eyes, self._mesh_eyes, self.light, self.white, self.roughness, self.lid_skin, worn is not None, worn
        )

    def drive(
        self,
        after: npt.ArrayLike,
        paint: Painter | None = None,
        plain: bool = True,
        change: Float64Array | None = None,
        kept: float | None = None,
    ) -> Driven:
        """Move the photo's pixels as the head moves to `after`, its vertices [V, 3]; see `drive`.

        Args:
            after: where the vertices are to lie.
            paint: what paints the opened mouth; None for the plain filling.
            plain: whether to add a plain filling; without it, all but very thin openings are left dark, to be painted
                afterwards.
            change: of the expression's weights [E]; with it the skin also folds where they grow.
            kept: how far a row of teeth that the photo shows is kept; by default `shows_row`.

        Raises:
            UsageError: the vertices are not the model's.
        """
        photo, scene, to = self.behind, self.scene, _check(self.model, after)
        field = find_field(scene, to)
        if field is None:
            return Driven(self.photo.copy())
        box = field.box
        blinks = self._blinks(to)
        if self.spectacles is not None:
            rigid = self.spectacles.with_glass if self.has_dark_glasses else self.spectacles
            hold(rigid, scene, to, field.shift, box)
        shift = with_lids(field, blinks, self._beside_frames)
        if self.spectacles is not None:
            avoid(self.spectacles, scene, to, shift, box)
        still, gain = self.occluders, relight(self.light, scene, field, self.is_grey)
        if still is not None:
            still.hold(shift, box)
            part = (slice(gain.step // 2, None, gain.step),) * 2
            gain = replace(gain, values=1 + (gain.values - 1) * still.uncovered(box)[part][..., None])
        motion, moved = self._move(photo, Motion(box, shift, gain), field)
        if change is not None:
            self._fold(moved, field, change)
        for blink in blinks:
            open_eye(moved, photo, field, blink, self._beside_frames)
        kept = self.shows_row if kept is None else kept
        opening = find_opening(photo, scene, self.shown, to, field, self.white, kept)
        hole = lips = None
        if opening is not None and opening.amount:
            hole, lips = self._open_mouth(moved, to, motion, opening, paint, plain)
        elif opening is None and self.shown.mask.any():
            close_mouth(photo, scene, self.shown, moved, to, motion)
        if still is not None:
            still.lay(self.photo, moved, box)
        result = self.photo.copy()
        np.clip(np.rint(moved, out=moved), 0, 255, out=moved)
        result[box.slices] = moved  # whole numbers by now
        return Driven(result, box, opening, field, hole, lips, motion)

    def _blinks(self, to: Float32Array) -> list[Blink]:
        """How the lids and eyes move that do; those that are shut or behind dark glass move with the head."""
        if self.has_shut_eyes or self.has_dark_glasses:
            return []
        scene = self.scene
        blend = BLEND if self.spectacles is None else 0.25 * BLEND  # frames do not move with lids
        found = (
            find_blink(eye, was, self.model, scene.before, to, side, scene.size, skin, folds, blend)
            for eye, was, side, skin, folds in zip(
                self.eyes, self._mesh_eyes, SIDES, self.lid_skin, self.folds, strict=True
            )
        )
        return [each for each in found if each is not None]

    def _move(self, photo: Pixels, motion: Motion, field: Field) -> tuple[Motion, Float32Array]:
        """The photo after a motion, [H, W, 3] of its box, with its background where it was if that would be seen."""
        moved = motion.move(photo)
        some = (slice(None, None, 4),) * 2  # the field around a head is smooth
        around = np.abs(field.shift[some][field.layer[some] < 0]).max(initial=0)
        if around < OUTLINE * self.scene.unit or self.background is None:
            return motion, moved
        return replace(motion, behind=self.background.keep_still(moved, motion)), moved

    def _fold(self, moved: Float32Array, field: Field, change: Float64Array) -> None:
        """Remove folds of the photo's own smile, and add those of the new expression."""
        names, scene = self.model.expression_names, self.scene
        fading, relief = find_fading(names, change), find_relief(names, change, pixels_a_centimetre(scene))
        face = None if fading is None and relief is None else FaceMap.of(scene, field, self.likeness)
        if face is None:
            return
        if fading is not None:
            fade(fading, scene, face, moved)
        if relief is not None:
            folded, ratio = crease(relief * np.float32(self.roughness), self.light, scene, face)
            moved[face.part][folded] *= ratio

    def _beside_frames(self, places: Float32Array) -> Float32Array | float:
        """0 where the frames of spectacles lie and beyond them, 1 behind the glass, at places [..., 2]."""
        if self.spectacles is None:
            return 1.0
        distance = self.spectacles.box.read(self.spectacles.distance, places, np.inf)
        beside = ramp(np.minimum(distance / self.scene.unit, 1), *BESIDE_FRAMES)
        beside *= self.spectacles.box.read(self.spectacles.behind, places, 0.0)
        away = [np.hypot(*(np.subtract(eye.frame(places), eye.iris[:2, None, None]))) for eye in self.eyes]
        return beside * (1 - ramp(np.minimum(*away).astype(np.float32), *BEHIND_GLASS))

    def _open_mouth(
        self,
        moved: Float32Array,
        after: Float32Array,
        motion: Motion,
        opening: Opening,
        paint: Painter | None,
        plain: bool,
    ) -> tuple[Float32Array, Float32Array]:
        """Put the mouth's inside behind the lips, with a smooth edge between them; `Driven.hole` and `Driven.lips`."""
        there, here = motion.box.shared(opening.box)
        share, skin = cut_lips(self.behind, self.scene, self.shown, moved, after, motion, opening.box)
        hole = np.zeros(opening.kept.shape, np.float32)
        hole[here] = opening.amount * share[here]
        if self.occluders is not None:
            hole *= self.occluders.uncovered(opening.box)
            self.occluders.lay(self.photo, skin, opening.box)
        filled = plain or hole.sum() < 2 * SLIVER * self.scene.unit**2
        painted = fill(opening, self.scene, after) if filled else dark(opening)
        if paint is not None:
            painted = paint(opening, painted)
        if self.is_grey:
            painted = np.repeat(painted.mean(axis=2, keepdims=True), 3, axis=2)
        kept = opening.row * opening.kept[..., None]
        inside = kept * opening.own + (1 - kept) * painted
        share = hole[here][..., None]
        moved[there] = share * inside[here] + (1 - share) * skin[here]
        return hole, skin


def _check(model: HeadModel, vertices: npt.ArrayLike) -> Float32Array:
    made = np.asarray(vertices, np.float32)
    if made.shape != model.neutral.shape:
        raise UsageError(f"vertices have shape {list(made.shape)}: the model's are {list(model.neutral.shape)}")
    return made
