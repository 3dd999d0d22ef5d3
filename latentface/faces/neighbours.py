"""Where the faces beside a face are: what moves one must leave the others as they are, however close they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latentface.arrays import Float32Array, Float64Array
from latentface.faces.square import Square
from latentface.fields import smoothstep

HEAD = (0.32, 0.4)  # half axes of the ellipse around a head, in sides of its square
FADE = 0.25  # half axes beyond it over which it ends
SEAM = 0.12  # half axes over which one head's place gives way to another's


def held(
    places: npt.NDArray[np.floating], own: npt.NDArray[np.floating], others: Sequence[npt.NDArray[np.floating]]
) -> Float32Array:
    """How far places belong to other heads than one's own: 1 inside an ellipse around another, 0 away from all.

    Where ellipses overlap, a place belongs to the head whose middle is nearer, measured in half axes.

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
        nearest = np.clip(Square.around(other).middle, (left, top), (right, bottom))
        if float(_away(nearest, other)) < 1 + FADE:
            found.append(other)
    return tuple(found)


def _away(places: npt.NDArray[np.floating], landmarks: npt.NDArray[np.floating]) -> Float32Array:
    """How far places [..., 2] are from the middle of a head, 1 on its ellipse."""
    square = Square.around(landmarks)
    apart: Float64Array = (np.asarray(places) - np.asarray(square.middle, np.float32)) / (
        np.asarray(HEAD, np.float32) * square.side
    )
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]), np.float32)
