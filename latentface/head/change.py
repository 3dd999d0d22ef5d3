"""What changes between two pictures of one person, as ARKit coefficients.

It turns an edit of a drawn face into one of a photo.
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

NOISE = 0.04  # weights below which a change is taken for noise
GAZE_NOISE = 4.0  # degrees below which a reader's two gazes are taken for one


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
        """The change on another fit, `strength` times, its expression within 0..1; with `turn`, its pose too."""
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

    The head is fitted to the first. What it misses there is held for the second, whose fit keeps the identity and
    expects the pose and the expression of the first, so that only what changes in the pictures changes in the weights.

    Args:
        model: the head.
        before: a picture uint8 RGB [H, W, 3] and its landmarks [68, 2], in its own pixels.
        after: another picture and its landmarks, in the same frame as the first (two drawings of an aligned crop).
        reader: tells what landmarks do not show, and the gaze.
        noise: changes of weights below this are left out, larger ones keep their size.

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
    """What a fit's face shows in another picture by what a reader says of both.

    The difference of two readings is surer than either: what the reader gets wrong of the person cancels.
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
