"""The opened mouth of a moved photo, painted by the mouth network instead of the head's own teeth."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.faces.crop import inter_ocular
from latentface.head.drive import SLIVER, Driven
from latentface.head.geometry import ramp
from latentface.head.mouth import paint_mouth
from latentface.head.mouth_canvas import MouthFrame
from latentface.networks.mouth import MouthNet

#: Shares of an open mouth that the photo shows itself: below the first all of it is painted, from the second on what
#: the photo shows stays. A few of its own teeth in a painted row would stand out.
FEW, MOST = 0.3, 0.5


def paint_opening(driven: Driven, upper_jaw: Float64Array, network: MouthNet) -> Pixels:
    """The moved photo with what its parted lips uncover painted; where the photo shows most of it itself, that stays.

    Args:
        driven: what `head.drive` gave.
        network: what paints.
        upper_jaw: landmarks [68, 2], photo pixels, of the head's skull: of its pose without its expression, so that
            teeth stay where they are while lips move over them.
    """
    opening, hole = driven.opening, driven.hole
    if opening is None or hole is None or not hole.any():
        return driven.photo
    own = float(ramp((hole * opening.kept).sum() / hole.sum(), FEW, MOST))
    mask = np.zeros(driven.photo.shape[:2], np.float32)
    mask[opening.box.slices] = np.clip(hole * (1 - own * opening.kept), 0, 1)
    if mask.sum() < SLIVER * inter_ocular(upper_jaw) ** 2:
        return driven.photo
    return paint_mouth(driven.photo, mask, MouthFrame.from_landmarks(upper_jaw), network)
