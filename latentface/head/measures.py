"""Openings, heights and widths of a face, in inter-ocular distances, and the weights that reach them.

Measures are linear in the weights of the expression, so a change of them is reached by the least change of weights:

    min over d of  |(J d - wanted) / exactness|^2 + |d / spread|^2,  with the weights within bounds,

where J are the derivatives of the measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from latentface.head.fit import HeadFit
from latentface.head.model import HeadModel
from latentface.head.points import LID_PAIRS, LIP_PAIRS, face_points, inter_ocular

Array = NDArray[np.float64]
Points = tuple[int, ...]

_EYE_CORNERS = (36, 39, 42, 45)  # no expression moves them, and they are found more exactly than the bridge of the nose
_ACROSS, _UP = 0, 1


def _split(*pairs: tuple[tuple[int, int], ...]) -> tuple[Points, Points]:
    """The first and the second points of pairs."""
    upper, lower = zip(*(pair for side in pairs for pair in side), strict=True)
    return upper, lower


_RIGHT_LIDS, _LEFT_LIDS = (_split(pairs) for pairs in LID_PAIRS)
#: By name: the landmarks whose mean place is measured, those relative to which it is measured, and along which axis.
#: The tails of brows are left out: hair and the frames of spectacles cover them.
MEASURES: Mapping[str, tuple[Points, Points, int]] = MappingProxyType({
    "lips apart": (*_split(LIP_PAIRS), _UP),
    "corners": ((48, 54), (62, 66), _UP),
    "lids apart": (*_split(*LID_PAIRS), _UP),
    "outer brows": ((18, 19, 24, 25), _EYE_CORNERS, _UP),
    "inner brows": ((20, 21, 22, 23), _EYE_CORNERS, _UP),
    "corners' difference": ((48,), (54,), _UP),
    "lids' difference": (_RIGHT_LIDS[0] + _LEFT_LIDS[1], _RIGHT_LIDS[1] + _LEFT_LIDS[0], _UP),
    "outer brows' difference": ((18, 19), (24, 25), _UP),
    "inner brows' difference": ((20, 21), (22, 23), _UP),
    "mouth's width": ((54,), (48,), _ACROSS),
})  # fmt: skip
LIPS_APART, LIDS_APART = 0, 2  # the places of these measures


def by_measure(values: Mapping[str, float]) -> Array:
    """Values by the names of the `MEASURES`, in their order, [M]."""
    return np.array([values[name] for name in MEASURES])


def measure_head(model: HeadModel, fit: HeadFit, pitch_kept: float = 0.0) -> Array:
    """The `MEASURES` [M] of a fitted head as if it were seen from the front, but for a part of its pitch."""
    points, nod = _landmarks(model, fit), np.radians(pitch_kept * fit.pitch)
    heights = points[:, 1] * np.cos(nod) - points[:, 2] * np.sin(nod)
    return _measured(np.stack([points[:, 0], heights], 1), inter_ocular(points[:, :2]))


def measure_points(points: NDArray[np.floating], roll: float) -> Array:
    """The `MEASURES` [M] of landmarks [68, 2] in a photo, y down, of a face that is tilted by `roll` degrees."""
    given, tilt = np.asarray(points, np.float64), np.radians(roll)
    axes = np.array([[np.cos(tilt), np.sin(tilt)], [np.sin(tilt), -np.cos(tilt)]])
    return _measured(given @ axes.T, inter_ocular(given))


def _measured(points: Array, length: float) -> Array:
    """The measures [M] of points [68, 2], x to the viewer's right and y up, in units of a length."""
    return np.asarray(np.einsum("mla,la->m", _rows(), points) / length)


@lru_cache(maxsize=1)
def _rows() -> Array:
    """The factors of the landmarks' places in the measures, [M, 68, 2]."""
    made = np.zeros((len(MEASURES), 68, 2))
    for row, (points, others, axis) in zip(made, MEASURES.values(), strict=True):
        row[list(points), axis] += 1 / len(points)
        row[list(others), axis] -= 1 / len(others)
    return made


def _landmarks(model: HeadModel, fit: HeadFit) -> Array:
    """The landmarks [68, 3] of a fitted head in its own frame, y up, in centimetres; but not where the jaw slid to."""
    points = face_points(model, fit.definition)
    shape = points.base + np.tensordot(fit.identity, points.identity, 1)
    made: Array = shape + np.tensordot(fit.expression, points.expressions, 1) + fit.missing
    return made


@dataclass(frozen=True, eq=False)
class Reach:
    """Weights of one head that reach wanted measures.

    Attributes:
        slopes: the derivatives J of the measures by the weights, [M, E].
        exactness: deviations of the measures in inter-ocular distances, [M]; infinite for those that do not matter.
        spread: deviations of the weights from where they start, [E]; 0 for shapes that stay there.
    """

    slopes: Array
    exactness: Array
    spread: Array

    @classmethod
    def of(cls, model: HeadModel, fit: HeadFit, exactness: Array, movers: Mapping[str, float]) -> Reach:
        """That of a fitted head; `movers` are spreads by the beginning of the shapes' names."""
        length = inter_ocular(_landmarks(model, fit)[:, :2])
        moves = face_points(model, fit.definition).expressions[:, :, :2]
        slopes = np.einsum("mla,ela->me", _rows(), moves) / length
        spread = [next((s for stem, s in movers.items() if n.startswith(stem)), 0.0) for n in model.expression_names]
        return cls(slopes, exactness, np.array(spread))

    def __call__(self, start: Array, wanted: Array, least: Array, most: Array) -> Array:
        """The weights [E], from `least` to `most`, whose measures differ as wanted [M] from those of `start` [E]."""
        moved = self.spread > 0
        rows = self.slopes[:, moved] / self.exactness[:, None]
        made: Array = start.copy()
        made[moved] += least_squares(
            rows, wanted / self.exactness, self.spread[moved], (least - start)[moved], (most - start)[moved]
        )
        return made


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
