"""Completed holes brought nearer to their surroundings: what patches of the photo itself show where they look alike.

A network knows faces; of hair, clothes and what stands behind a person it knows little more than the photo shows beside
the hole. The mean of what it paints and of what matching patches show has less of the faults that only one of them has.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array
from latentface.faces.regions import fill, outline
from latentface.patches import PatchMatches

RADIUS = 2  # pixels around the middle of a patch
FOREHEAD = 0.5  # inter-ocular distances that the outline reaches above the brows
BESIDE, WITHIN = 0.6, 0.25  # shares of the surroundings in what is shown, beside the face and within its outline
SOFT = 4.0  # deviation in pixels over which one share passes into the other


def follow_surroundings(picture: Float32Array, hole: BoolArray, landmarks: Float64Array) -> Float32Array:
    """A completed picture whose hole is also drawn from patches around it; elsewhere it is returned as it is.

    Args:
        picture: float32 [H, W, 3], 0 to 255, with the hole completed.
        hole: [H, W].
        landmarks: [68, 2], of the face, in pixels of the picture.
    """
    matches = PatchMatches(picture, hole, RADIUS)
    if not len(matches.source) or not len(matches.place):
        return picture
    matches.search(np.random.default_rng(0))
    face = fill(outline([landmarks], FOREHEAD), (hole.shape[1], hole.shape[0])).astype(np.float32)
    share = BESIDE + (WITHIN - BESIDE) * ndimage.gaussian_filter(face, SOFT)[..., None]
    result: Float32Array = picture.copy()
    result[hole] = (picture + share * (matches.drawn() - picture))[hole]
    return result
