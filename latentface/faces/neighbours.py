"""The regions of neighbouring faces, which must stay unchanged when a face is moved, however close they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latentface.arrays import Float32Array
from latentface.faces.crop import ffhq_quad
from latentface.fields import smoothstep

HEAD = (0.432, 0.54)  # semi-axes of the ellipse around a head, in units of the side of its aligned square
FADE = 0.25  # semi-axes beyond it over which it fades out
SEAM = 0.12  # semi-axes over which the region of one head passes into another's


def held(
    places: npt.NDArray[np.floating], own: npt.NDArray[np.floating], others: Sequence[npt.NDArray[np.floating]]
) -> Float32Array:
    """How far places belong to heads other than the face's own: 1 inside an ellipse around another, 0 away from all.

    Where ellipses overlap, a place belongs to the head whose centre is nearer, in units of the semi-axes.

    Args:
        places: pixels (column, row), [..., 2].
        own: landmarks of the face itself, [68, 2].
        others: landmarks of the other faces, [68, 2] each.

    Returns:
        Values from 0 to 1, [...].
    """
    mine = _away(places, own)
    made = np.zeros(mine.shape, np.float32)
    for other in others:
        theirs = _away(places, other)
        made = np.maximum(made, smoothstep((1 + FADE - theirs) / FADE) * smoothstep(0.5 + (mine - theirs) / SEAM))
    return made


def within(
    box: tuple[int, int, int, int], others: Sequence[npt.NDArray[np.floating]]
) -> tuple[npt.NDArray[np.floating], ...]:
    """Those of the faces [68, 2] whose heads reach into a box: left, top, right and bottom."""
    left, top, right, bottom = box
    found = []
    for other in others:
        nearest = np.clip(ffhq_quad(other).mean(axis=0), (left, top), (right, bottom))
        if float(_away(nearest, other)) < 1 + FADE:
            found.append(other)
    return tuple(found)


def _away(places: npt.NDArray[np.floating], landmarks: npt.NDArray[np.floating]) -> Float32Array:
    """Distance of places [..., 2] from the centre of a head; 1 on its ellipse."""
    quad = ffhq_quad(landmarks)
    axes = np.asarray(HEAD, np.float32) * np.float32(np.linalg.norm(quad[3] - quad[0]))
    apart = (np.asarray(places, np.float32) - quad.mean(axis=0).astype(np.float32)) / axes
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]), np.float32)
