"""Landmarks of a head whose coefficients are known, by the model itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from latentface.head.model import HeadModel
from latentface.head.points import face_points
from latentface.head.pose import rotation_matrix


def landmarks_of(
    model: HeadModel,
    expression: Mapping[str, float],
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0),
    identity: np.ndarray | None = None,
    scale: float = 12.0,
    middle: tuple[float, float] = (160.0, 170.0),
    definition: str = "mesh",
) -> np.ndarray:
    """Photo pixels [68, 2], y down, of a head under scaled orthographic projection."""
    points = face_points(model, definition)
    vertices = model.vertices(identity, model.expression_vector(expression)).astype(np.float64)
    place = np.einsum("lwc,lw->lc", vertices[points.vertices], points.weights)
    return scale * (place @ rotation_matrix(*pose).T)[:, :2] * (1, -1) + middle
