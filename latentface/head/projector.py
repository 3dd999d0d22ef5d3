"""Projects one person's head many times: everything that does not depend on expression and pose is computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from latentface.arrays import Float64Array
from latentface.errors import UsageError
from latentface.head.fit import HeadFit
from latentface.head.model import HeadModel
from latentface.head.points import face_points


class Projector:
    """A fitted head, ready to be projected with other expressions, poses, scales and places.

    Args:
        fit: the head. Its residual moves along, as in `HeadFit.project`.
        model: the head that was fitted.

    Raises:
        UsageError: the model has other shapes than the one that was fitted.
    """

    def __init__(self, fit: HeadFit, model: HeadModel) -> None:
        if model.expression_names != fit.expression_names:
            raise UsageError("the head was fitted with another model's shapes; project it with that model")
        self.fit, self.model = fit, model
        self._rest: Float64Array = model.vertices(fit.identity).astype(np.float64) + fit.displacement(model)
        points = face_points(model, fit.definition)
        self._skull: Float64Array = np.einsum("lwd,lw->ld", self._rest[points.vertices], points.weights)
        self._skull[: len(fit.jaw)] = self._rest[fit.jaw]

    def vertices(self, fit: HeadFit) -> Float64Array:
        """Vertices in photo pixels, [V, 3], of a changed fit of this person; see `HeadFit.project`.

        Raises:
            UsageError: it is another person's.
        """
        if fit.identity is not self.fit.identity and not np.array_equal(fit.identity, self.fit.identity):
            raise UsageError("the fit is another person's; make a Projector of that one")
        shapes = self.model.expressions.reshape(len(fit.expression), -1)
        return _place(self._rest + (fit.expression.astype(np.float32) @ shapes).reshape(-1, 3), fit)

    def landmarks(self, fit: HeadFit) -> Float64Array:
        """The 68 landmarks of a changed fit of this person, photo pixels [68, 2]; see `HeadFit.landmarks`."""
        return _place(self._skull + (fit.expression @ self._shapes).reshape(-1, 3), fit)[:, :2]

    @cached_property
    def _shapes(self) -> Float64Array:
        """What the expressions do to the landmarks, [E, 68 * 3]."""
        made = face_points(self.model, self.fit.definition).expressions.copy()
        made[:, : len(self.fit.jaw)] = self.model.expressions[:, self.fit.jaw]
        shapes: Float64Array = made.reshape(len(made), -1)
        return shapes

    def skull(self, fit: HeadFit) -> Float64Array:
        """The 68 landmarks of a changed fit's head without its expression, photo pixels [68, 2]: the skull alone."""
        return _place(self._skull, fit)[:, :2]


def _place(points: Float64Array, fit: HeadFit) -> Float64Array:
    placed: Float64Array = points @ (fit.scale * fit.rotation.T * (1.0, -1.0, 1.0))
    placed[:, :2] += fit.translation
    return placed
