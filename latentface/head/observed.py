"""What a photo shows of a head that is fitted to it, measured when it is first asked for.

Coordinates are photo pixels (column, row; integers are pixels' centres), depth grows towards the viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import UsageError
from latentface.head.background import Background, find_background
from latentface.head.creases import find_likeness, roughness
from latentface.head.eye_contour import Eye, are_shut, find_eyes, mesh_eye
from latentface.head.eyeball import EyeWhite, find_eye_white
from latentface.head.eyes import BROWS, FOLDS, SIDES, follow
from latentface.head.field import Scene
from latentface.head.in_front import Finders
from latentface.head.interior import is_kept
from latentface.head.lids import LidSkin, find_lid_skin, find_low_brow
from latentface.head.model import HeadModel
from latentface.head.occluders import Look, Occluders, find_occluders, look_for_occluders
from latentface.head.shading import find_light
from latentface.head.shown_mouth import Kept, Shown, find_shown
from latentface.head.spectacles import Spectacles, find_spectacles
from latentface.head.tint import Tint, find_tint
from latentface.head.tones import Tones, find_tones
from latentface.ops.raster import sample

BROW = 0.05  # inter-ocular distances: half of their thickness
#: Light below eyes behind glass, as a part of that of the cheeks: from which on both are behind sunglasses, and from
#: which on one is behind tinted glass, where no white of an eye is painted.
DARK_GLASS, TINTED_GLASS = 0.35, 0.65


@dataclass(frozen=True, eq=False)
class Steady:
    """Measurements of one frame of a clip that later frames reuse; see `ObservedHead` for each.

    eyes: start of the search for eyes. mesh_eyes: those of the head. worn: whether there are spectacles. spectacles:
    those of the frame before. shut: the lids are closed, so that eyes are not searched but follow the head. look: what
    the frame before showed in front of the face. All others are used unchanged.
    """

    eyes: tuple[Eye, Eye]
    mesh_eyes: tuple[Eye, Eye]
    light: Float64Array
    tones: Tones
    tint: Tint | None
    roughness: float
    low_brows: tuple[float, float]
    lid_skin: tuple[LidSkin, LidSkin]
    eye_whites: tuple[EyeWhite, EyeWhite]
    worn: bool
    spectacles: Spectacles | None = None
    shut: bool = False
    look: Look | None = None


class ObservedHead:
    """A photo and the head fitted to it.

    Args:
        photo: uint8 RGB [H, W, 3].
        model: the head.
        before: the head's vertices as they lie in the photo, [V, 3].
        others: landmarks [68, 2] of the photo's other faces, which do not move.
        steady: from another frame of the same clip, so that the frames are consistent.
        finders: the networks that find spectacles, which keep their shape, and occluders, which do not move; without
            them, neither is searched for.

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
        self.scene = Scene.of(model, check_vertices(model, before), photo.shape[0], photo.shape[1], others)

    @cached_property
    def eyes(self) -> tuple[Eye, Eye]:
        """The eyes as the photo shows them, left and right."""
        steady = self._steady
        if steady is None or not steady.shut:
            return find_eyes(self.photo, *self.mesh_eyes, None if steady is None else steady.eyes)
        left, right = map(follow, steady.eyes, steady.mesh_eyes, self.mesh_eyes)
        return left, right

    @cached_property
    def mesh_eyes(self) -> tuple[Eye, Eye]:
        """The eyes as the head has them, left and right."""
        left, right = (mesh_eye(self.model, self.scene.before, side) for side in SIDES)
        return left, right

    @cached_property
    def light(self) -> Float64Array:
        """The light on the face, [4]."""
        return find_light(self.photo, self.scene) if self._steady is None else self._steady.light

    @cached_property
    def tint(self) -> Tint | None:
        """The one tint of the photo's head, such as grey or sepia; None if it has colours."""
        return find_tint(self.photo[self.scene.box.slices]) if self._steady is None else self._steady.tint

    @cached_property
    def tones(self) -> Tones:
        """The photo's black, and the white of this light."""
        if self._steady is not None:
            return self._steady.tones
        nose = self.scene.before[self.model.landmarks[27:31], :2]
        whites = () if self._has_tinted_glass else self.eye_whites
        return find_tones(self.photo, self.scene, np.concatenate([self._cheeks, nose]), whites)

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
        return max(self._light_behind_glass) < DARK_GLASS

    @property
    def _has_tinted_glass(self) -> bool:
        """Whether an eye lies behind glass that changes the colour of its white."""
        return min(self._light_behind_glass) < TINTED_GLASS

    @cached_property
    def _light_behind_glass(self) -> tuple[float, float]:
        """The light of the skin at both eyes as a part of that of the cheeks; 1 without spectacles."""
        if self.spectacles is None:
            return 1.0, 1.0
        cheeks = float(np.median(sample(self.photo, self._cheeks[:, None]).mean(axis=-1)))
        left, right = (float(skin.tone.mean()) / max(cheeks, 1.0) for skin in self.lid_skin)
        return left, right

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
        return None if self.look is None else find_occluders(self.photo, self.look)

    @cached_property
    def look(self) -> Look | None:
        """What was seen in front of the face."""
        steady, finders = self._steady, self._finders
        if finders is None:
            return None
        landmarks = self.scene.before[self.model.landmarks, :2].astype(float)
        look = look_for_occluders(self.photo, landmarks, finders.occluders, mirrored=steady is None)
        return look if steady is None or steady.look is None else look.after(steady.look)

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
        for eye, side, low in zip(self.eyes, SIDES, self.low_brows, strict=True):
            u = eye.across(np.linspace(0.2, 0.8, 7))
            margins = eye.margins(u)
            brow_u, brow_v = eye.frame(self.scene.before[self.model.landmarks[BROWS[side]], :2])
            order = np.argsort(brow_u)
            brow = np.interp(u, brow_u[order], brow_v[order]) - BROW  # their lower edge
            gaps = [min(float((brow - margins[0]).min()), low), FOLDS[1] * 2]
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
    def low_brows(self) -> tuple[float, float]:
        """How far over the eyes hair of the brows begins, left and right, in inter-ocular distances."""
        if self._steady is not None:
            return self._steady.low_brows
        left, right = (find_low_brow(self.photo, eye) for eye in self.eyes)
        return left, right

    @cached_property
    def lid_skin(self) -> tuple[LidSkin, LidSkin]:
        """The skin of the upper lids, left and right."""
        if self._steady is not None:
            return self._steady.lid_skin
        widths = [float(np.ptp(eye.corners[:, 0])) * eye.unit for eye in self.mesh_eyes]
        left, right = (
            find_lid_skin(self.photo, eye, over, width / max(widths))
            for eye, (over, _), width in zip(self.eyes, self.folds, widths, strict=True)
        )
        return left, right

    @cached_property
    def eye_whites(self) -> tuple[EyeWhite, EyeWhite]:
        """The whites of the eyes, left and right."""
        if self._steady is not None:
            return self._steady.eye_whites
        found = (
            find_eye_white(self.photo, eye, lid.tone, lid.shade)
            for eye, lid in zip(self.eyes, self.lid_skin, strict=True)
        )
        left, right = (replace(each, missing=0.0) if self._has_tinted_glass else each for each in found)
        return left, right

    @cached_property
    def shown(self) -> Shown:
        """What the photo shows of the mouth's inside."""
        return find_shown(self.photo, self.scene)

    @cached_property
    def kept(self) -> Kept:
        """What of the mouth that the photo shows is worth keeping."""
        return is_kept(self.shown, self.scene.unit)

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
        """The measurements that the next frame of a clip reuses, and what is in front of the face in this one."""
        if self._steady is not None:
            return replace(self._steady, spectacles=self.spectacles, look=self.look)
        return Steady(
            self.eyes, self.mesh_eyes, self.light, self.tones, self.tint, self.roughness, self.low_brows,
            self.lid_skin, self.eye_whites, worn=self.spectacles is not None,
        )  # fmt: skip


def check_vertices(model: HeadModel, vertices: npt.ArrayLike) -> Float32Array:
    """Vertices of a head, float32 [V, 3]; UsageError for another number than the model has."""
    made = np.asarray(vertices, np.float32)
    if made.shape != model.neutral.shape:
        raise UsageError(f"vertices have shape {list(made.shape)}: the model's are {list(model.neutral.shape)}")
    return made
