"""Applies a change of a face to its photo through a fitted head, which moves the photo's pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from latentface import api, hub
from latentface.arrays import BoolArray, Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.alignment import box_around
from latentface.faces.crop import FaceCrop, map_points
from latentface.head.change import read_change
from latentface.head.control_names import ALL_BUT_EYES
from latentface.head.controls import restrict
from latentface.head.drive import Driver
from latentface.head.expression_match import EXACTNESS, match_expression
from latentface.head.fit import MOST_TURN, HeadFit
from latentface.head.measures import MEASURES, measure_points
from latentface.head.motion import Motion
from latentface.head.mouth import MouthSource
from latentface.head.observed import Steady
from latentface.head.occlusion import is_mouth_hidden
from latentface.head.own_mouth import OwnMouth
from latentface.head.painting import paint_opening, shown_mouth
from latentface.head.projector import Projector
from latentface.head.shown_mouth import Kept
from latentface.head.spectacles import Spectacles
from latentface.head.view import HeadView
from latentface.io.memory import give_back

Note = Callable[[str], None]

LEAST_LID = 0.05  # change of a lid's weight from which on it matters that eyes are shut
#: Largest correction in another attempt, in inter-ocular distances, [M]. Lids are not corrected: how far they moved is
#: known, whereas landmarks often stay where lids were.
MOST_EXTRA = np.array([{"lips apart": 0.06, "lids apart": 0.0, "lids' difference": 0.0}.get(n, 0.03) for n in MEASURES])


@dataclass(frozen=True, eq=False)
class _Placed:
    """A view after a motion, which is None if nothing has moved."""

    picture: Pixels
    motion: Motion | None


class HeadPlacer:
    """Moves the head in one photo.

    Args:
        photo: uint8 RGB [H, W, 3].
        face: the face in it, or the head that is fitted to it already.
        others: landmarks [68, 2] of the photo's other faces, which are kept still.
        note: called with one-line notes for the user.
        steady: of another frame, where the photo is a frame of a film (see `Driver`).

    Attributes:
        view: the part of the photo that is moved.
        fit: the head as the view shows it.

    Raises:
        InputError: no head can be fitted to the face, because it is turned too far.
    """

    def __init__(
        self,
        photo: Pixels,
        face: FaceCrop | HeadFit,
        others: Sequence[Float64Array] = (),
        note: Note | None = None,
        steady: Steady | None = None,
    ) -> None:
        self.photo, self.note = photo, note or (lambda text: None)
        self.model, self.mouth = hub.head_model(), hub.mouth()
        try:
            fit = face if isinstance(face, HeadFit) else api.fit_head(face, photo)
        except InputError as error:
            raise InputError(f"{error}; or choose another way with place=warp") from None
        self._projector = Projector(fit, self.model)
        points = self._projector.landmarks(fit) if isinstance(face, HeadFit) else face.landmarks
        self.view = HeadView.of(photo, points)
        self.fit: HeadFit = fit.mapped(self.view.matrix)
        beside = [map_points(self.view.matrix, other) for other in others]
        vertices = self._projector.vertices(self.fit)
        # the frames of a clip are told about shut lids, which were open a moment ago
        self._follows, self._said_shut = steady is not None, False
        self._driver = Driver(self.view.pixels, self.model, vertices, beside, steady, hub.finders())

    @property
    def steady(self) -> Steady:
        """The state that the next frame of a film takes from this one, see `Driver`."""
        return self._driver.steady

    @property
    def spectacles(self) -> Spectacles | None:
        """The spectacles on the face, or None."""
        return self._driver.spectacles

    @property
    def kept(self) -> Kept:
        """What of the mouth that the photo shows is worth keeping."""
        return self._driver.kept

    def place(
        self,
        after: HeadFit,
        mouth: MouthSource = "painted",
        other: OwnMouth | None = None,
        share: float | None = None,
        kept: Kept | None = None,
    ) -> Pixels:
        """The photo with the head in the state `after`, a changed `fit`; without a change, the photo itself.

        Args:
            after: that state.
            mouth: what fills the opened mouth, as for `paint_opening`.
            other: another photo's mouth, likewise.
            share: how much of the change of the mouth is made, 0 to 1; by default all of it, but none if something
                hides the mouth.
            kept: what of the mouth that the photo shows is; by default what is worth it.
        """
        return self._enlarge(self._drive(after, mouth, other, share, kept))

    def landmarks(self, after: HeadFit) -> Float64Array:
        """The face's landmarks [68, 2] in the photo with the head in the state `after`."""
        turned = self._limit_turn(after)
        points: Float64Array = self._projector.landmarks(turned)
        return map_points(np.linalg.inv(self.view.matrix), points)

    def hides(self, after: HeadFit) -> bool:
        """Whether `after` moves a mouth that something hides, and that should not move therefore."""
        mouth = self._of_mouth
        return bool((after.expression[mouth] != self.fit.expression[mouth]).any()) and self._mouth_hidden

    def place_expression(
        self,
        theirs: HeadFit,
        strength: float = 1.0,
        only: Sequence[str] = (),
        looks: int = 2,
        mouth: MouthSource = "painted",
        other: OwnMouth | None = None,
    ) -> Pixels:
        """The photo with the expression of another person's head.

        The change of lips, corners of the mouth and brows is measured in the result, and the remaining error corrected.

        Args:
            theirs: the head in the other photo.
            strength: how much of the difference, 1 for all of it.
            only: parts of the face that change, as for `restrict`; all if empty.
            looks: how often the result is measured and corrected; the best attempt is kept.
            mouth: what fills the opened mouth, as for `paint_opening`.
            other: the other photo's own mouth, likewise.
        """
        extra = np.zeros(len(EXACTNESS))
        before, wanted, least, best = None, extra, np.inf, None
        for _ in range(looks + 1):
            after = match_expression(self.model, self.fit, theirs, strength, extra)
            after = restrict(self.fit, after, only) if only else after
            placed = self._drive(after, mouth, other)
            if not looks or placed.motion is None:
                return self._enlarge(placed)
            if before is None:
                before = self._measure(self.view.pixels, self.fit)
                wanted = self._measure_mesh(after) - self._measure_mesh(self.fit)
            missed = wanted - (self._measure(placed.picture, after) - before)
            error = float(np.square(missed / EXACTNESS)[MOST_EXTRA > 0].sum())
            if best is None or error < least:  # one is kept at a time: those of large photos take much memory
                least, best = error, placed
            extra = np.clip(extra + missed, extra - MOST_EXTRA, extra + MOST_EXTRA)
        assert best is not None
        return self._enlarge(best)

    def shown_mouth(self) -> OwnMouth | None:
        """The open mouth in the photo, for use in another photo; None if it is nearly closed."""
        return shown_mouth(self._driver, self._projector.skull(self.fit), self.mouth.config)

    def read(
        self, reference: Pixels, points: Float64Array, image: Pixels, image_points: Float64Array, turn: bool = False
    ) -> HeadFit:
        """The photo's head with the change from one synthesised face to another of the same person.

        Args:
            reference: the face before the change, uint8 RGB [R, R, 3].
            points: its landmarks [68, 2], in its own pixels.
            image: the face after the change, uint8 RGB [R, R, 3].
            image_points: its landmarks [68, 2], likewise.
            turn: whether the head turns as well.
        """
        change = read_change(self.model, (reference, points), (image, image_points), hub.head_reader())
        return change.apply(self.fit, turn=turn)

    def _drive(
        self,
        after: HeadFit,
        mouth: MouthSource,
        other: OwnMouth | None,
        share: float | None = None,
        kept: Kept | None = None,
    ) -> _Placed:
        """The view with the head in the state `after`, as far as it can be moved."""
        share = 1.0 - self.hides(after) if share is None else share
        limited = self._limit_eyes(self._limit_mouth(self._limit_turn(after), share))
        change = limited.expression - self.fit.expression
        moved = self._driver.drive(self._projector.vertices(limited), plain=False, change=change, kept=kept)
        give_back(self.photo)
        driven = paint_opening(moved, self._projector.skull(limited), self.mouth, mouth, other)
        return _Placed(self._driver.in_tint(driven), moved.motion)

    def _enlarge(self, placed: _Placed) -> Pixels:
        """The whole photo with its view changed."""
        give_back(self.photo)
        made: Pixels = self.photo.copy()
        if placed.motion is not None:
            part = self.view.part(placed.motion.box)
            self.view.put(made[part.slices], placed.picture, placed.motion, self.photo)
        return made

    def _measure_mesh(self, fit: HeadFit) -> Float64Array:
        """The result of `measure_points` for a head's own landmarks in the photo, [M]."""
        return measure_points(self._projector.landmarks(fit), fit.roll)

    def _measure(self, picture: Pixels, fit: HeadFit) -> Float64Array:
        """The measures of a picture by the landmark network, near the landmarks of a head, [M]."""
        box = box_around(self._projector.landmarks(fit))
        return measure_points(hub.landmark_predictor()(picture, box[None])[0], fit.roll)

    def _limit_mouth(self, after: HeadFit, share: float) -> HeadFit:
        """The head with a share of the change of its mouth: something in front of it must not move."""
        if share == 1:
            return after
        self.note("something hides the mouth: it is left unchanged, and only the rest of the face is edited")
        before = self.fit.expression
        part = before + share * (after.expression - before)
        return replace(after, expression=np.where(self._of_mouth, part, after.expression))

    def _limit_eyes(self, after: HeadFit) -> HeadFit:
        """The head with the photo's eyes if they are shut, since nothing is known of what lids would uncover."""
        kept = restrict(self.fit, after, ALL_BUT_EYES)
        asked = np.abs(after.expression - kept.expression).max()
        if self._follows or asked < LEAST_LID or not self._driver.has_shut_eyes:
            return after
        if not self._said_shut:
            self._said_shut = True
            self.note("the eyes are shut in the photo, so they stay shut")
        return kept

    @cached_property
    def _of_mouth(self) -> BoolArray:
        """Which shapes move the mouth."""
        return np.array([name.startswith(("mouth", "jaw", "nose", "cheek")) for name in self.fit.expression_names])

    @cached_property
    def _mouth_hidden(self) -> bool:
        points, still = self._projector.landmarks(self.fit), self._driver.occluders
        return is_mouth_hidden(self.view.pixels, points) or (still is not None and still.hide(points))

    def _limit_turn(self, after: HeadFit) -> HeadFit:
        turns = np.subtract(after.pose, self.fit.pose)
        allowed = np.clip(turns, np.negative(MOST_TURN), MOST_TURN)
        for name, asked, most in zip(("yaw", "pitch", "roll"), turns, MOST_TURN, strict=True):
            if abs(asked) > most:
                self.note(f"{name}: asked to turn by {asked:.0f} degrees, the photo's head turns by {most:g}")
        if np.array_equal(turns, allowed):
            return after
        still = replace(self.fit, expression=after.expression)
        return still.with_pose(*allowed.tolist(), relative=True)
