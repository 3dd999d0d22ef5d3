"""Transfers an expression between the fitted heads of two people, by measures that can be compared between faces.

A single photo does not separate identity from expression: a fit explains low brows or narrow eyes by either, as its
priors suggest, so the weights of two people cannot be compared directly. But the opening of lips and lids and the
height of brows and mouth corners can be measured. So the weights of the other head are used, except that those of the
shapes in `MOVERS` are changed by as little as makes the measures equal (see `measures`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latentface.errors import UsageError
from latentface.head.fit import HeadFit
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze
from latentface.head.geometry import ramp
from latentface.head.measures import LIDS_APART, Reach, by_measure, measure_head
from latentface.head.model import HeadModel

Array = NDArray[np.float64]

#: How exactly the measures [M] are reached, in inter-ocular distances. Brows and asymmetries have larger tolerances,
#: since they depend on the person; the width of a mouth is the person's own.
EXACTNESS = by_measure({
    "lips apart": 0.006, "corners": 0.006, "lids apart": 0.004, "outer brows": 0.015, "inner brows": 0.015,
    "corners' difference": 0.03, "lids' difference": 0.02, "outer brows' difference": 0.05,
    "inner brows' difference": 0.05, "mouth's width": np.inf,
})  # fmt: skip
#: Part of a head's pitch that is left in its measures, since a fit takes some of what a face does for pitch.
PITCH_KEPT = 0.25
#: Landmarks follow lids in part: from two faces' measures, their openings are expected to differ by so many times more.
LIDS_RANGE = 1.8
#: Eyes count as closing from this weight on; others narrow by this part of their opening at most.
BLINK, NARROWER = 0.3, 0.45

#: How far shapes are changed for the measures' sake, by the beginning of their names.
MOVERS = {
    "jawOpen": 0.3, "mouthClose": 0.15, "mouthUpperUp": 0.3, "mouthLowerDown": 0.3, "mouthSmile": 0.3,
    "mouthFrown": 0.3, "eyeBlink": 0.3, "eyeWide": 0.3, "eyeSquint": 0.3, "browInnerUp": 0.5, "browOuterUp": 0.5,
    "browDown": 0.2,
}  # fmt: skip
#: Degrees up to which two gazes are considered equal, and from which on they are considered different.
GAZE_NOISE = (6.0, 12.0)
#: Bounds of the brows' weights, which are wider than the usual 0 to 1, since brows differ between people by more than
#: they move.
BROW_LEAST, BROW_MOST = -0.5, 1.2


def match_expression(
    model: HeadModel, own: HeadFit, theirs: HeadFit, strength: float = 1.0, extra: NDArray[np.floating] | None = None
) -> HeadFit:
    """The head `own` with the expression of `theirs`.

    Args:
        model: the head that both were fitted with.
        own: the head that gets the expression.
        theirs: another person's head, or the same person's in another photo.
        strength: how much of the difference, 1 for all of it.
        extra: added to the change of each measure [M], in inter-ocular distances, such as the error of a previous
        attempt.

    Returns:
        `own` with other weights, within 0 to 1 but for brows (`BROW_LEAST` to `BROW_MOST`) and for weights that were
        beyond.

    Raises:
        UsageError: the heads were fitted with other models.
    """
    if not own.expression_names == theirs.expression_names == model.expression_names:
        raise UsageError("both heads must be fitted with the model that is given; fit both photos with one model")
    names = model.expression_names
    asked = _asked(model, own, theirs, strength)
    if extra is not None:
        asked = asked + extra
    least, most = _bounds(own)
    looks = np.array([name.startswith("eyeLook") for name in names])
    there = np.where(looks, _gaze(own, theirs), theirs.expression)
    start = np.clip(own.expression + strength * (there - own.expression), least, most)
    reach = Reach.of(model, own, EXACTNESS, MOVERS)
    made = reach(start, asked - reach.slopes @ (start - own.expression), least, most)
    return replace(own, expression=np.clip(made, least, most))


def _asked(model: HeadModel, own: HeadFit, theirs: HeadFit, strength: float) -> Array:
    """The wanted change of the measures [M]; open eyes narrow only in part, since narrow ones may be identity."""
    mine, other = (measure_head(model, fit, PITCH_KEPT) for fit in (own, theirs))
    asked = strength * (other - mine)
    blink = np.mean([theirs.coefficients()[f"eyeBlink{side}"] for side in ("Left", "Right")])
    most = NARROWER if blink < BLINK else 1.0
    asked[LIDS_APART] = max(LIDS_RANGE * asked[LIDS_APART], -most * mine[LIDS_APART])
    return asked


def _gaze(own: HeadFit, theirs: HeadFit) -> Array:
    """The weights [E] of a gaze that differs from the own as theirs does, against the camera.

    People who turn their heads still look into the camera, and two readings of that differ by several degrees.
    """
    names = own.expression_names
    mine, other = (Gaze.of(names, fit.expression) for fit in (own, theirs))
    changes = []
    for first, second in (
        (mine.yaw + own.yaw, other.yaw + theirs.yaw),
        (mine.pitch + own.pitch, other.pitch + theirs.pitch),
    ):
        changes.append((second - first) * float(ramp(abs(second - first), *GAZE_NOISE)))
    if not any(changes):
        return own.expression
    yaw = float(np.clip(mine.yaw + changes[0], -YAW_AT_ONE, YAW_AT_ONE))
    pitch = float(np.clip(mine.pitch + changes[1], -PITCH_AT_ONE, PITCH_AT_ONE))
    return Gaze(yaw, pitch, 1.0).weights(names)


def _bounds(own: HeadFit) -> tuple[Array, Array]:
    """Least and most of the weights [E]: not less than the photo shows."""
    brows = np.array([name.startswith("brow") for name in own.expression_names])
    ups = np.array([name.startswith(("browInnerUp", "browOuterUp")) for name in own.expression_names])
    least, most = np.where(ups, BROW_LEAST, 0.0), np.where(brows, BROW_MOST, 1.0)
    return np.minimum(least, own.expression), np.maximum(most, own.expression)
