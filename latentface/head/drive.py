"""Moving a photo's own pixels with a head that is fitted to it.

Coordinates are photo pixels (column, row; integers are pixels' centres), depth grows towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.head.creases import FaceMap, crease, fade, find_fading, find_relief, pixels_a_centimetre
from latentface.head.eyes import BLEND, SIDES, Blink, Socket, find_blink, open_eye, with_lids
from latentface.head.field import Field, find_field
from latentface.head.geometry import Box, ramp
from latentface.head.interior import SLIVER, Opening, dark, fill, find_opening
from latentface.head.lips import close_mouth, cut_lips, join_lips
from latentface.head.model import HeadModel
from latentface.head.motion import Motion
from latentface.head.observed import ObservedHead, check_vertices
from latentface.head.shading import relight
from latentface.head.shown_mouth import Kept
from latentface.head.spectacles import avoid, hold

OUTLINE = 0.02  # inter-ocular distances: smaller motions around the head are not seen in its background
SOFT = 0.8  # pixels over which the edge of skin that hides other skin is smoothed
#: Inter-ocular distances from an iris beyond which lids have no effect if there are spectacles (frames and brows).
BEHIND_GLASS = (0.2, 0.26)
BESIDE_FRAMES = (0.005, 0.025)  # inter-ocular distances: width over which the effect of lids grows beside frames
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


class Driver(ObservedHead):
    """A photo and the head fitted to it, prepared for moves; the arguments are those of `ObservedHead`."""

    def drive(
        self,
        after: npt.ArrayLike,
        paint: Painter | None = None,
        plain: bool = True,
        change: Float64Array | None = None,
        kept: Kept | None = None,
    ) -> Driven:
        """Move the photo's pixels as the head moves to `after`, its vertices [V, 3]; see `drive`.

        Args:
            after: where the vertices are to lie.
            paint: what paints the opened mouth; None for the plain filling.
            plain: whether to add a plain filling; without it, all but very thin openings are left dark, to be painted
                afterwards.
            change: of the expression's weights [E]; with it the skin also folds where they grow.
            kept: what of the mouth that the photo shows is; by default what is worth it.

        Raises:
            UsageError: the vertices are not the model's.
        """
        photo, scene, to = self.behind, self.scene, check_vertices(self.model, after)
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
        still, gain = self.occluders, relight(self.light, scene, field, self.tint is not None)
        if still is not None:
            still.hold(shift, box)
            part = (slice(gain.step // 2, None, gain.step),) * 2
            gain = replace(gain, values=1 + (gain.values - 1) * still.uncovered(box)[part][..., None])
        motion, moved = self._move(photo, Motion(box, shift, gain, field), field)
        if change is not None:
            self._fold(moved, field, change)
        for blink in blinks:
            open_eye(moved, photo, field, blink, self._beside_frames)
        opening = find_opening(photo, scene, self.shown, to, field, self.tones, kept or self.kept)
        if not self.shown.mask.any():
            join_lips(photo, scene, moved, to, motion)
        elif opening is None:
            close_mouth(photo, scene, self.shown, moved, to, motion)
        hole, lips = self._open_mouth(moved, to, motion, opening, paint, plain)
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
        sockets = map(Socket, SIDES, self.eyes, self.mesh_eyes, self.lid_skin, self.eye_whites, self.folds)
        found = (find_blink(socket, self.model, scene.before, to, scene.size, blend) for socket in sockets)
        return [each for each in found if each is not None]

    def _move(self, photo: Pixels, motion: Motion, field: Field) -> tuple[Motion, Float32Array]:
        """The photo after a motion, [H, W, 3] of its box, with its background where it was if that would be seen."""
        moved = motion.move(photo)
        edges = field.overlaps(self.scene.surface)
        edges[edges] = (motion.shift[edges] == field.shift[edges]).all(axis=1)  # lids are drawn by themselves
        _soften(moved, edges)
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
        opening: Opening | None,
        paint: Painter | None,
        plain: bool,
    ) -> tuple[Float32Array | None, Float32Array | None]:
        """Put the mouth's inside behind the lips, with a smooth edge between them; `Driven.hole` and `Driven.lips`."""
        if opening is None or not opening.amount:
            return None, None
        there, here = motion.box.shared(opening.box)
        share, skin = cut_lips(self.behind, self.scene, self.shown, moved, after, motion, opening.box)
        hole = np.zeros(opening.kept.shape, np.float32)
        hole[here] = opening.amount * share[here]
        if self.occluders is not None:
            hole *= self.occluders.uncovered(opening.box)
            self.occluders.lay(self.photo, skin, opening.box)
        filled = plain or hole.sum() < 2 * SLIVER * self.scene.unit**2
        painted = fill(opening, self.scene, after) if filled else dark(opening, skin[(hole > 0) & (hole < 1)])
        if paint is not None:
            painted = paint(opening, painted)
        if self.tint is not None:
            painted = self.tint(painted)
        kept = opening.row * opening.kept[..., None]
        inside = kept * opening.own + (1 - kept) * painted
        share = hole[here][..., None]
        moved[there] = share * inside[here] + (1 - share) * skin[here]
        return hole, skin

    def in_tint(self, picture: Pixels) -> Pixels:
        """The changed photo, uint8 [H, W, 3], in one tint if its head had but one, since painting may add colours."""
        if self.tint is None:
            return picture
        changed = (picture != self.photo).any(axis=2)
        made: Pixels = picture.copy()
        made[changed] = np.rint(self.tint(picture[changed]))
        return made


def _soften(moved: Float32Array, edges: BoolArray) -> None:
    """Smooth the steps along the edges of skin that hides other skin, [H, W], in place."""
    rows, columns = np.nonzero(edges)
    if not len(rows):
        return
    around = np.s_[max(rows.min() - 3, 0) : rows.max() + 4, max(columns.min() - 3, 0) : columns.max() + 4]
    smooth = ndimage.gaussian_filter(moved[around], (SOFT, SOFT, 0))
    moved[around][edges[around]] = smooth[edges[around]]
