"""Transfers an expression between the fitted heads of two people, by measures that can be compared between faces.

A single photo does not separate identity from expression: a fit explains low brows or narrow eyes by either, as its
priors suggest, so the weights of two people cannot be compared directly. But the opening of lips and lids and the
height of brows and mouth corners can be measured. So the weights of the other head are used, except that those of the
shapes in `MOVERS` are changed by as little as makes the measures equal:

    min over d of  |(J (e' + d - e) - s (m' - m)) / exactness|^2 + |d / spread|^2,  with e' + d within bounds,

with own weights e and measures m, the other's e' and m', the strength s and the derivatives J of the measures. Measures
are taken in the frame of the head, but for a part of its pitch, in inter-ocular distances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from latentface.errors import UsageError
from latentface.head.fit import HeadFit
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze
from latentface.head.geometry import ramp
from latentface.head.model import HeadModel
from latentface.head.points import LID_PAIRS, LIP_PAIRS, face_points, inter_ocular

Array = NDArray[np.float64]
Points = tuple[int, ...]

_EYE_CORNERS = (36, 39, 42, 45)  # no expression moves them, and they are found more exactly than the bridge of the nose


def _split(*pairs: tuple[tuple[int, int], ...]) -> tuple[Points, Points]:
    """The first and the second points of pairs."""
    upper, lower = zip(*(pair for side in pairs for pair in side), strict=True)
    return upper, lower


_RIGHT_LIDS, _LEFT_LIDS = (_split(pairs) for pairs in LID_PAIRS)
#: By name: the landmarks whose mean height is measured, those relative to which it is measured, and its tolerance in
#: inter-ocular distances. Brows and asymmetries have larger tolerances, since they depend on the person. The tails of
#: brows are left out: hair and the frames of spectacles cover them.
MEASURES: Mapping[str, tuple[Points, Points, float]] = MappingProxyType({
    "lips apart": (*_split(LIP_PAIRS), 0.006),
    "corners": ((48, 54), (62, 66), 0.006),
    "lids apart": (*_split(*LID_PAIRS), 0.004),
    "outer brows": ((18, 19, 24, 25), _EYE_CORNERS, 0.015),
    "inner brows": ((20, 21, 22, 23), _EYE_CORNERS, 0.015),
    "corners' difference": ((48,), (54,), 0.03),
    "lids' difference": (_RIGHT_LIDS[0] + _LEFT_LIDS[1], _RIGHT_LIDS[1] + _LEFT_LIDS[0], 0.02),
    "outer brows' difference": ((18, 19), (24, 25), 0.05),
    "inner brows' difference": ((20, 21), (22, 23), 0.05),
})  # fmt: skip
#: The last of each of these, [M].
EXACTNESS: Array = np.array([exactness for *_, exactness in MEASURES.values()])

LIPS_APART, LIDS_APART = 0, 2  # the places of these measures
#: Part of a head's pitch that is left in its measures, since a fit takes some of what a face does for pitch.
PITCH_KEPT = 0.25
#: Landmarks follow lids in part: from two faces' measures, their openings are expected to differ by so many times more.
LIDS_RANGE = 1.4
#: Eyes count as closing from this weight on; others narrow by this part of their opening at most.
BLINK, NARROWER = 0.3, 0.35

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


def measure_head(model: HeadModel, fit: HeadFit) -> Array:
    """The `MEASURES` [M] of a fitted head as if it were seen from the front, but for a part of its pitch."""
    points, nod = _landmarks(model, fit), np.radians(PITCH_KEPT * fit.pitch)
    heights = points[:, 1] * np.cos(nod) - points[:, 2] * np.sin(nod)
    made: Array = _weights() @ heights / inter_ocular(points[:, :2])
    return made


def measure_points(points: NDArray[np.floating], roll: float) -> Array:
    """The `MEASURES` [M] of landmarks [68, 2] in a photo, y down, of a face that is tilted by `roll` degrees."""
    tilt = np.radians(roll)
    heights = np.asarray(points, np.float64) @ (np.sin(tilt), -np.cos(tilt))
    made: Array = _weights() @ heights / inter_ocular(np.asarray(points, np.float64))
    return made


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
    length = inter_ocular(_landmarks(model, own)[:, :2])
    jacobian = _weights() @ face_points(model, own.definition).expressions[:, :, 1].T / length  # [M, E]
    asked = _asked(model, own, theirs, strength)
    if extra is not None:
        asked = asked + extra
    least, most = _bounds(own)
    looks = np.array([name.startswith("eyeLook") for name in names])
    there = np.where(looks, _gaze(own, theirs), theirs.expression)
    start = np.clip(own.expression + strength * (there - own.expression), least, most)
    spread = np.array([next((s for stem, s in MOVERS.items() if n.startswith(stem)), 0.0) for n in names])
    moved = spread > 0
    rows = jacobian[:, moved] / EXACTNESS[:, None]
    wanted = (asked - jacobian @ (start - own.expression)) / EXACTNESS
    made = start.copy()
    made[moved] += least_squares(rows, wanted, spread[moved], (least - start)[moved], (most - start)[moved])
    return replace(own, expression=np.clip(made, least, most))


def _asked(model: HeadModel, own: HeadFit, theirs: HeadFit, strength: float) -> Array:
    """The wanted change of the measures [M]; open eyes narrow only in part, since narrow ones may be identity."""
    mine = measure_head(model, own)
    asked = strength * (measure_head(model, theirs) - mine)
    blink = np.mean([theirs.coefficients()[f"eyeBlink{side}"] for side in ("Left", "Right")])
    most = NARROWER if blink < BLINK else 1.0
    asked[LIDS_APART] = max(LIDS_RANGE * asked[LIDS_APART], -most * mine[LIDS_APART])
    return asked


def least_squares(rows: Array, wanted: Array, spread: Array, low: Array, high: Array) -> Array:
    """The x [N] from low to high, which lie about 0, that minimises ``|rows x - wanted|^2 + |x / spread|^2``.

    By a primal active set (Nocedal and Wright 2006, section 16.5): steps end at the first bound, whose unknown is held
    there; a bound is released where the cost decreases away from it.
    """
    hessian, slope = rows.T @ rows + np.diag(spread**-2.0), rows.T @ wanted
    x, held = np.zeros(len(spread)), np.zeros(len(spread), bool)
    for _ in range(10 * len(x)):
        gradient = hessian @ x - slope
        step = np.zeros(len(x))
        step[~held] = -np.linalg.solve(hessian[np.ix_(~held, ~held)], gradient[~held])
        bound = np.where(step > 0, high, low)
        room = np.divide(bound - x, step, out=np.full(len(x), np.inf), where=np.abs(step) > 1e-12)
        first = int(room.argmin())
        if room[first] < 1:
            x = x + max(room[first], 0.0) * step
            x[first], held[first] = bound[first], True
            continue
        x = x + step
        gradient = hessian @ x - slope
        inward = np.where(held, np.where(x <= low, -gradient, gradient), 0.0)
        if inward.max(initial=0) < 1e-9:
            break
        held[inward.argmax()] = False
    return x


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


@lru_cache(maxsize=1)
def _weights() -> Array:
    """Of the landmarks' heights in the measures, [M, 68]."""
    weights = np.zeros((len(MEASURES), 68))
    for row, (points, others, _) in zip(weights, MEASURES.values(), strict=True):
        row[list(points)] += 1 / len(points)
        row[list(others)] -= 1 / len(others)
    return weights


def _landmarks(model: HeadModel, fit: HeadFit) -> Array:
    """The landmarks [68, 3] of a fitted head in its own frame, y up, in centimetres; but not where the jaw slid to."""
    points = face_points(model, fit.definition)
    shape = points.base + np.tensordot(fit.identity, points.identity, 1)
    made: Array = shape + np.tensordot(fit.expression, points.expressions, 1) + fit.missing
    return made
