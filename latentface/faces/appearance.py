"""What somebody looks like in a film: the mean of the identity embeddings of pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from latentface.arrays import Float64Array, FloatArray, Pixels
from latentface.faces.alignment import glance
from latentface.faces.stretch import Stretch, unit

#: Unit vectors [N, D] of crops, uint8 RGB [N, S, S, 3]: the scalar product of two is high for pictures of one person.
Embed = Callable[[Pixels], FloatArray]

SIDE = 128  # of the crops that are compared


def looks_of(picture: Pixels, faces: Sequence[Float64Array], embed: Embed) -> FloatArray:
    """Unit vectors [N, D] of faces, landmarks [68, 2] each, in uint8 RGB [H, W, 3].

    Each crop counts with its mirror image.
    """
    crops = np.stack([glance(picture, points, SIDE).image for points in faces])
    both = embed(np.concatenate([crops, crops[:, :, ::-1]]))
    return unit(both[: len(crops)] + both[len(crops) :])


def likeness(stretch: Stretch, picture: Pixels, points: Float64Array, embed: Embed) -> float:
    """How much a face, landmarks [68, 2] in uint8 RGB [H, W, 3], looks like that of a stretch: a cosine."""
    return stretch.likeness(looks_of(picture, [points], embed)[0])
