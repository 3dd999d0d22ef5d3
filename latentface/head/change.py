"""The change between two pictures of one person, as ARKit coefficients and pose.

It transfers an edit of a synthesised face to a photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentface.head.fit import HeadFit
from latentface.head.fitting import Reading, changed_fit, fit_head
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze
from latentface.head.model import HeadModel
from latentface.head.reader import HeadReader

Array = NDArray[np.float64]

NOISE = 0.04  # smaller changes of weights are considered noise
GAZE_NOISE = 4.0  # degrees; two gaze readings that differ by less are considered equal


@dataclass(frozen=True, eq=False)
class HeadChange:
    """From one picture of a person to another.

    expression: weights to add, by ARKit name, of the shapes that change. pose: degrees of yaw, pitch and roll to turn
    by. before and after are the fits that differ by it, of one identity.
    """

    expression: dict[str, float]
    pose: tuple[float, float, float]
    before: HeadFit
    after: HeadFit

    def apply(self, fit: HeadFit, strength: float = 1.0, turn: bool = False) -> HeadFit:
        """Apply the change to another fit, `strength` times, weights clipped to 0..1; with `turn`, the pose too."""
        changes = {name: strength * value for name, value in self.expression.items()}
        made = fit.with_expression(changes, relative=True)
        return made.with_pose(*(strength * angle for angle in self.pose), relative=True) if turn else made


def read_change(
    model: HeadModel,
    before: tuple[NDArray[np.uint8], NDArray[np.floating]],
    after: tuple[NDArray[np.uint8], NDArray[np.floating]],
    reader: HeadReader | None = None,
    noise: float = NOISE,
) -> HeadChange:
    """The change of expression and pose between two pictures of one person.

    The head is fitted to the first picture. The fit of the second one keeps its identity and residual, with pose and
    expression of the first as a prior, so that the weights change only where the pictures do.

    Args:
        model: the head.
        before: a picture uint8 RGB [H, W, 3] and its landmarks [68, 2], in its own pixels.
        after: another picture and its landmarks, in the same frame as the first (two drawings of an aligned crop).
        reader: reads the gaze, and expressions that landmarks do not show.
        noise: smaller changes of weights are dropped; larger ones are kept unchanged.

    Raises:
        InputError: one of them shows no face that can be fitted.
    """
    first = reader(*before, model.expression_names) if reader is not None else None
    one = fit_head(model, before[1], before[0], reading=first)
    expected = None
    if reader is not None and first is not None:
        expected = _expected(one, first, reader(*after, model.expression_names))
    two = changed_fit(model, one, before[1], after[1], expected)
    moved = two.expression - one.expression
    names = model.expression_names
    expression = {n: float(v) for n, v in zip(names, moved, strict=True) if abs(v) >= noise}
    yaw, pitch, roll = (b - a for a, b in zip(one.pose, two.pose, strict=True))
    return HeadChange(expression, (yaw, pitch, roll), one, two)


def _expected(fit: HeadFit, first: Reading, second: Reading) -> Reading:
    """The expected expression in another picture, from the readings of both pictures.

    The difference of two readings is more reliable than either, since errors that depend on the person cancel.
    """
    told = np.isfinite(second.deviation)
    moved = np.where(told, second.expression - first.expression, 0.0)
    gaze = Gaze.of(fit.expression_names, fit.expression)
    yaw, pitch = second.gaze.yaw - first.gaze.yaw, second.gaze.pitch - first.gaze.pitch
    gaze = Gaze(
        float(np.clip(gaze.yaw + (yaw if abs(yaw) >= GAZE_NOISE else 0.0), -YAW_AT_ONE, YAW_AT_ONE)),
        float(np.clip(gaze.pitch + (pitch if abs(pitch) >= GAZE_NOISE else 0.0), -PITCH_AT_ONE, PITCH_AT_ONE)),
        min(first.gaze.confidence, second.gaze.confidence),
    )
    looks = np.array([name.startswith("eyeLook") for name in fit.expression_names])
    shifted = np.clip(fit.expression + moved, 0, 1)
    return Reading(np.where(looks, gaze.weights(fit.expression_names), shifted), second.deviation, gaze)
