"""Extends the residual of the fit at the landmarks smoothly over the head.

Displacements at the 68 landmarks are interpolated at all vertices by Gaussian radial basis functions of two widths: a
wide one, fitted by ridge regression, and a narrow one for the rest, so that landmarks are matched exactly. Distances
are measured on a head with its mouth open, so that the lips move apart from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latentface.head.model import HeadModel
from latentface.head.points import JAW, Definition, FacePoints, face_points

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_OPEN = 0.5  # of jawOpen, on the head on which distances are measured
_WIDE, _NARROW = 0.25, 0.07  # deviations of the functions, in inter-ocular distances
_RIDGE = 0.15  # of the wide fit
_BALLS = ("eyeball_left", "eyeball_right")  # regions that move as one piece


@dataclass(frozen=True, eq=False)
class _Basis:
    """The head on which distances are measured, and the basis functions [V, 51] of all landmarks but the jaw line."""

    spread: Array
    wide: Floats
    narrow: Floats
    points: FacePoints


@lru_cache(maxsize=4)
def _basis(model: HeadModel, definition: Definition) -> _Basis:
    """The part of the interpolation that is the same for all faces; cached for the last few models."""
    expression = model.expression_vector({"jawOpen": _OPEN})
    spread = model.vertices(None, expression).astype(np.float64)
    points = face_points(model, definition)
    centres = _landmarks(spread, points, points.vertices[:JAW, 0])[JAW:]
    width = points.inter_ocular
    away = _squared_distances(spread, centres)
    wide, narrow = (_gaussian(away, k * width) for k in (_WIDE, _NARROW))
    return _Basis(spread, wide, narrow, points)


def spread_displacement(model: HeadModel, definition: Definition, jaw: NDArray[np.int64], moved: Array) -> Array:
    """Displacements [V, 3] of all vertices that interpolate those of the landmarks.

    Args:
        model: the head.
        definition: what the landmarks are.
        jaw: the vertices that the jaw line's landmarks lie on, [17].
        moved: displacements of the landmarks in the head's frame, [68, 3] centimetres.
    """
    basis = _basis(model, definition)
    points, width = basis.points, basis.points.inter_ocular
    centres = _landmarks(basis.spread, points, jaw)
    made = np.zeros((len(basis.spread), 3))
    left, away = moved, _squared_distances(basis.spread, centres[:JAW])
    for deviation, kept, ridge in ((_WIDE, basis.wide, _RIDGE), (_NARROW, basis.narrow, 0.0)):
        sliding = _gaussian(away, deviation * width)
        own = np.concatenate([_landmarks(sliding, points, jaw), _landmarks(kept, points, jaw)], 1)
        coefficients = np.linalg.solve(own + (ridge + 1e-9) * np.eye(68), left)
        single = coefficients.astype(np.float32)
        made += sliding @ single[:JAW] + kept @ single[JAW:]
        left = left - own @ coefficients
    for name in _BALLS:
        ball = model.regions[name] > 0.5
        if ball.any():
            made[ball] = made[ball].mean(0)
    return made


def _landmarks(values: NDArray[np.floating], points: FacePoints, jaw: NDArray[np.int64]) -> Array:
    """Values [68, D] at the landmarks from values [V, D] at the vertices."""
    made: Array = np.einsum("lwd,lw->ld", values[points.vertices], points.weights).astype(np.float64)
    made[:JAW] = values[jaw]
    return made


def _squared_distances(places: Array, centres: Array) -> Floats:
    squared = (places**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * places @ centres.T
    made: Floats = np.maximum(squared, 0).astype(np.float32)
    return made


def _gaussian(squared: Floats, deviation: float) -> Floats:
    made: Floats = np.exp(squared / np.float32(-2 * deviation**2))
    return made
