"""Faces of calibration pictures as an estimator sees them, and how much worse a quantised one does on them.

The truth is not known, so it is taken from many views: each face is shown several times, slightly moved and scaled, and
the mean of the float32 network's estimates is nearer to the truth than any of them. The error of an estimate is its
distance from that mean, and quantisation costs the difference of the two networks' errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentface.arrays import Float64Array, Pixels
from latentface.faces.alignment import sample_quad
from latentface.io.images import to_tensor
from latentface.runtime.estimators import HEAD_READER, LANDMARKS

#: Shift right and down in sides of the square, and scale, of each view.
VIEWS = (
    (0.0, 0.0, 1.0), (0.03, 0.0, 1.0), (-0.03, 0.0, 1.0), (0.0, 0.03, 1.0), (0.0, -0.03, 1.0), (0.0, 0.0, 0.95),
    (0.0, 0.0, 1.05), (0.02, 0.02, 1.03),
)  # fmt: skip

Estimate = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True)
class Accuracy:
    """Mean errors in points.

    A point is a hundredth: of the inter-ocular distance (landmarks), of the side of the picture (keypoints), of the
    full strength of an expression or of 30 degrees (head-reader).
    """

    float32: float
    int8: float

    @property
    def worse(self) -> float:
        """What quantisation adds to the error."""
        return self.int8 - self.float32


def views_of(photo: Pixels, quad: Float64Array, size: int) -> Pixels:
    """Each view of a square [4, 2] of a photo: [V, size, size, 3]."""
    centre, right, down = quad.mean(0), quad[3] - quad[0], quad[1] - quad[0]
    return np.stack(
        [sample_quad(photo, centre + scale * (quad - centre) + x * right + y * down, size) for x, y, scale in VIEWS]
    )


def batches(views: Iterable[Pixels]) -> list[Tensor]:
    """The networks' inputs [V, 3, S, S], one for each face."""
    return [to_tensor(each) for each in views]


def compare(kind: str, exact: Estimate, quantised: Estimate, inputs: Sequence[Tensor]) -> Accuracy:
    """The accuracy of both networks of a kind on the views of faces."""
    errors = []
    for each in inputs:
        with torch.no_grad():
            known, found = (_together(kind, estimate(each)[0].double()) for estimate in (exact, quantised))
        truth = known.mean(0, keepdim=True)
        errors.append([_error(kind, known, truth), _error(kind, found, truth)])
    float32, int8 = np.mean(errors, axis=0).tolist()
    return Accuracy(float32, int8)


def _together(kind: str, found: Tensor) -> Tensor:
    """Estimates of each view [V, ...], positions among them in the frame of the first view."""
    if kind == HEAD_READER:
        return found
    views = torch.tensor(VIEWS, dtype=found.dtype)
    shift, scale = views[:, None, :2], views[:, None, 2:]
    if kind == LANDMARKS:  # from 0 to 1
        return 0.5 + shift + scale * (found - 0.5)
    return 2 * shift + scale * found  # from -1 to 1


def _error(kind: str, found: Tensor, truth: Tensor) -> float:
    """The mean error in points."""
    if kind == HEAD_READER:
        return float(100 * (found - truth).abs().mean())
    unit = 2.0
    if kind == LANDMARKS:
        unit = float((truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm())
    return float(100 * (found - truth).norm(dim=2).mean() / unit)
