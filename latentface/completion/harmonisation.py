"""A pasted region fitted to its surroundings: what the network leaves of its border is taken off.

The ratio of the values on both sides of the border goes on into the region harmonically, as the membrane of Perez,
Gangnet and Blake (2003), so that a cast of colour or a lack of light leaves no edge.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array
from latentface.compositing.blending import membrane
from latentface.head.geometry import blur_known

#: Pixels over which each side of the border is averaged, as a deviation, and how far around the region that looks.
WIDTH, AROUND = 2.0, 8
#: Added to values of 0 ... 255 before their ratio: what is darker tells little of light.
DARKEST = 8.0


def match_border(photo: Float32Array, content: Float32Array, region: BoolArray) -> Float32Array:
    """The content of a region, fitted at its border to the photo around it; elsewhere the photo.

    Args:
        photo: [H, W, 3], 0 to 255.
        content: [H, W, 3], 0 to 255; what lies beyond the region has no influence.
        region: [H, W].
    """
    made: Float32Array = photo.copy()
    if not region.any() or region.all():
        return made
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(each[0] - AROUND, 0), each[-1] + 1 + AROUND) for each in (rows, columns))
    inside = np.pad(region[part], 1)
    outer, inner = (
        np.log(_mean(np.pad(side[part], ((1, 1), (1, 1), (0, 0)), mode="edge"), known) + DARKEST)
        for side, known in ((photo, ~inside), (content, inside))
    )
    ratio = np.exp(membrane(outer - inner, inside))[1:-1, 1:-1]
    fitted = (content[part] + DARKEST) * ratio - DARKEST
    made[part][region[part]] = fitted[region[part]].clip(0, 255)
    return made


def _mean(picture: Float32Array, known: BoolArray) -> Float32Array:
    """A Gaussian mean of a picture [H, W, 3] over what is known of it; the nearest one far away."""
    mean, weight = blur_known(picture, known, WIDTH)
    at = ndimage.distance_transform_edt(weight <= 1e-3, return_distances=False, return_indices=True)
    filled: Float32Array = mean[tuple(at)]
    return filled
