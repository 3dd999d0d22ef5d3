"""A change of a face is brought into its photo by the head that is fitted to it, which moves the photo's pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from latentface import api, hub
from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.alignment import BuiltinLandmarks
from latentface.faces.crop import FaceCrop
from latentface.head.change import read_change
from latentface.head.controls import restrict
from latentface.head.drive import MOST_TURN, Driver
from latentface.head.expression_match import EXACTNESS, match_expression, measure_points
from latentface.head.fit import HeadFit
from latentface.head.mouth import MouthSource
from latentface.head.own_mouth import OwnMouth
from latentface.head.painting import paint_opening, shown_mouth
from latentface.head.projector import Projector

Note = Callable[[str], None]

#: How far a second try goes beyond what is asked for, in inter-ocular distances.
MOST_EXTRA = 0.04


class HeadPlacer:
    """Moves the head in one photo.

    Args:
        photo: uint8 RGB [H, W, 3].
        crop: the face in it.
        note: told what the user should know, in one line.

    Attributes:
        fit: the head as the photo shows it.

    Raises:
        InputError: no head can be fitted to the face, since it is turned far away.
    """

    def __init__(self, photo: Pixels, crop: FaceCrop, note: Note | None = None) -> None:
        self.photo, self.note = photo, note or (lambda text: None)
        self.model, self.mouth = hub.head_model(), hub.mouth()
        try:
            self.fit: HeadFit = api.fit_head(crop, photo)
        except InputError as error:
            raise InputError(f"{error}; or choose another way with place=warp") from None
        self._projector = Projector(self.fit, self.model)
        self._driver = Driver(photo, self.model, self._projector.vertices(self.fit))

    def place(self, after: HeadFit, mouth: MouthSource = "painted", other: OwnMouth | None = None) -> Pixels:
        """The photo with the head as `after` has it, a changed `fit`; without a change, the photo itself.

        mouth, other: what fills the opened mouth, as `paint_opening` takes it.
        """
        limited = self._limit_turn(after)
        change = limited.expression - self.fit.expression
        moved = self._driver.drive(self._projector.vertices(limited), plain=False, change=change)
        driven = paint_opening(moved, self._projector.skull(limited), self.mouth, mouth, other)
        if self._driver.is_grey:
            grey = np.repeat(np.rint(driven.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2)
            driven = np.where((driven == self.photo).all(axis=2, keepdims=True), self.photo, grey)
        return driven

    def place_expression(
        self,
        theirs: HeadFit,
        strength: float = 1.0,
        only: Sequence[str] = (),
        looks: int = 1,
        mouth: MouthSource = "painted",
        other: OwnMouth | None = None,
    ) -> Pixels:
        """The photo with the expression of another person's head.

        What was asked of lips, lids and brows is measured in the result, and what is missed there is asked for again.

        Args:
            theirs: the head in the other photo.
            strength: how much of the difference, 1 for all of it.
            only: parts of the face that change, as `restrict` takes them; all if empty.
            looks: how often the result is looked at and made anew; the best try counts.
            mouth: what fills the opened mouth, as `paint_opening` takes it.
            other: the other photo's own mouth, likewise.
        """
        extra = np.zeros(len(EXACTNESS))
        after = self._match(theirs, strength, only, extra)
        picture = self.place(after, mouth, other)
        if not looks or picture is self.photo or np.array_equal(picture, self.photo):
            return picture
        wanted = self._measure_mesh(after) - self._measure_mesh(self.fit)
        before = self._measure(self.photo, self.fit)
        missed = wanted - (self._measure(picture, after) - before)
        tries = [(float(np.square(missed / EXACTNESS).sum()), picture)]
        for _ in range(looks):
            extra = np.clip(extra + missed, -MOST_EXTRA, MOST_EXTRA)
            after = self._match(theirs, strength, only, extra)
            picture = self.place(after, mouth, other)
            missed = wanted - (self._measure(picture, after) - before)
            tries.append((float(np.square(missed / EXACTNESS).sum()), picture))
        return min(tries, key=lambda each: each[0])[1]

    def shown_mouth(self) -> OwnMouth | None:
        """The open mouth that the photo shows, for another photo to take; None if it is all but closed."""
        return shown_mouth(self._driver, self._projector.skull(self.fit), self.mouth.config)

    def read(
        self, reference: Pixels, points: Float64Array, image: Pixels, image_points: Float64Array, turn: bool = False
    ) -> HeadFit:
        """The photo's head with what changes from one synthesised face to another of the same person.

        Args:
            reference: the face before the change, uint8 RGB [R, R, 3].
            points: its landmarks [68, 2], in its own pixels.
            image: the face after the change, uint8 RGB [R, R, 3].
            image_points: its landmarks [68, 2], likewise.
            turn: whether the head turns as well.
        """
        change = read_change(self.model, (reference, points), (image, image_points), hub.head_reader())
        return change.apply(self.fit, turn=turn)

    def _match(self, theirs: HeadFit, strength: float, only: Sequence[str], extra: Float64Array) -> HeadFit:
        after = match_expression(self.model, self.fit, theirs, strength, extra)
        return restrict(self.fit, after, only) if only else after

    def _measure_mesh(self, fit: HeadFit) -> Float64Array:
        """What `measure_points` says of a head's own landmarks in the photo, [M]."""
        return measure_points(fit.landmarks(self.model, self._projector.vertices(fit)), fit.roll)

    def _measure(self, picture: Pixels, fit: HeadFit) -> Float64Array:
        """What the landmark network says of a picture, about where a head's landmarks are, [M]."""
        points, predictor = fit.landmarks(self.model, self._projector.vertices(fit)), hub.landmark_predictor()
        assert isinstance(predictor, BuiltinLandmarks)
        return measure_points(predictor.look_again(picture, points[None])[0], fit.roll)

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
