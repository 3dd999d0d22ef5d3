"""The opened mouth of a moved photo, painted by the mouth network instead of the head's own teeth."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.head.drive import Driven
from latentface.head.mouth import paint_mouth
from latentface.head.mouth_canvas import MouthFrame
from latentface.networks.mouth import MouthNet

#: Share of an opening's pixels that the photo does not show itself, below which the photo's own mouth serves.
LEAST_SHARE = 0.02


def paint_opening(driven: Driven, upper_jaw: Float64Array, network: MouthNet) -> Pixels:
    """The moved photo with what its parted lips uncover painted; what the photo shows of its own mouth stays.

    Args:
        driven: what `head.drive` gave.
        network: what paints.
        upper_jaw: landmarks [68, 2], photo pixels, of the head's skull: of its pose without its expression, so that
            teeth stay where they are while lips move over them.
    """
    opening = driven.opening
    if opening is None:
        return driven.photo
    hidden = opening.amount * opening.shape * (1 - opening.kept)
    if float(hidden.sum()) < LEAST_SHARE * float(opening.shape.sum()):
        return driven.photo
    mask = np.zeros(driven.photo.shape[:2], np.float32)
    mask[opening.box.slices] = np.clip(hidden, 0, 1)
    return paint_mouth(driven.photo, mask, MouthFrame.from_landmarks(upper_jaw), network)
