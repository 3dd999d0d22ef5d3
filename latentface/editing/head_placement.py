"""A change of a face is brought into its photo by the head that is fitted to it, which moves the photo's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np

from latentface import api, hub
from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.crop import FaceCrop
from latentface.head.change import read_change
from latentface.head.drive import Driver
from latentface.head.fit import HeadFit
from latentface.head.occlusion import is_mouth_hidden
from latentface.head.painting import paint_opening

Note = Callable[[str], None]

#: Degrees of yaw, pitch and roll that a photo's head is turned at most: what that brings into view is not in the photo.
MOST_TURN = (20.0, 15.0, 15.0)
#: Largest difference between the channels of a photo without colour.
_COLOURLESS = 2


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
        self._displacement = self.fit.displacement(self.model)
        self._driver = Driver(photo, self.model, self._project(self.fit))

    def place(self, after: HeadFit) -> Pixels:
        """The photo with the head as `after` has it, a changed `fit`; without a change, the photo itself."""
        limited = self._keep_hidden(self._limit_turn(after))
        moved = self._driver.drive(self._project(limited), change=limited.expression - self.fit.expression)
        driven = paint_opening(moved, self._skull(limited), self.mouth)
        if self._colourless:
            grey = np.repeat(np.rint(driven.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2)
            driven = np.where((driven == self.photo).all(axis=2, keepdims=True), self.photo, grey)
        return driven

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

    def _project(self, fit: HeadFit) -> Float64Array:
        return fit.project(self.model, displacement=self._displacement)

    def _skull(self, fit: HeadFit) -> Float64Array:
        """The landmarks of a head without its expression, [68, 2] photo pixels: they move with the skull alone."""
        still = replace(fit, expression=np.zeros_like(fit.expression))
        return still.landmarks(self.model, self._project(still))

    def _keep_hidden(self, after: HeadFit) -> HeadFit:
        """The head with its mouth as the photo has it, if something is in front of it: that must not move."""
        mouth = np.array([name.startswith(("mouth", "jaw", "nose", "cheek")) for name in after.expression_names])
        if not (after.expression[mouth] != self.fit.expression[mouth]).any() or not self._mouth_hidden:
            return after
        self.note("something hides the mouth: it stays as it is, and only the rest of the face changes")
        return replace(after, expression=np.where(mouth, self.fit.expression, after.expression))

    @cached_property
    def _mouth_hidden(self) -> bool:
        return is_mouth_hidden(self.photo, self.fit.landmarks(self.model, self._project(self.fit)))

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

    @cached_property
    def _colourless(self) -> bool:
        return int(np.ptp(self.photo.astype(np.int16), axis=2).max()) <= _COLOURLESS
