"""The opened mouth of a moved photo, painted by the mouth network instead of the head's own teeth."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.crop import inter_ocular
from latentface.head.drive import Driven, Driver
from latentface.head.geometry import ramp
from latentface.head.mouth import MouthSource, fill_mouth
from latentface.head.mouth_canvas import MouthFrame
from latentface.head.own_mouth import OwnMouth, take_mouth
from latentface.networks.mouth import MouthConfig, MouthNet

#: Shares of an open mouth that the photo shows itself: below the first all of it is painted, from the second on what
#: the photo shows stays. A few of its own teeth in a painted row would stand out.
FEW, MOST = 0.3, 0.5
SLIVER = 0.002  # squared distances between the eyes: openings smaller than this are edges of the raster and no mouth


def paint_opening(
    driven: Driven,
    upper_jaw: Float64Array,
    network: MouthNet,
    source: MouthSource = "painted",
    other: OwnMouth | None = None,
) -> Pixels:
    """The moved photo with what its parted lips uncover painted; where the photo shows most of it itself, that stays.

    Args:
        driven: what `head.drive` gave.
        network: what paints.
        upper_jaw: landmarks [68, 2], photo pixels, of the head's skull: of its pose without its expression, so that
            teeth stay where they are while lips move over them.
        source: painted, or taken from another photo that shows its teeth, as `fill_mouth` does.
        other: the mouth that the other photo shows, if it does.

    Raises:
        InputError: own is asked for, and the other photo shows no mouth that fits.
    """
    opening, hole = driven.opening, driven.hole
    if opening is None or hole is None or not hole.any():
        return driven.photo
    own = float(ramp((hole * opening.kept).sum() / hole.sum(), FEW, MOST))
    mask = np.zeros(driven.photo.shape[:2], np.float32)
    mask[opening.box.slices] = np.clip(hole * (1 - own * opening.kept), 0, 1)
    if mask.sum() < SLIVER * inter_ocular(upper_jaw) ** 2:
        return driven.photo
    return fill_mouth(driven.photo, mask, MouthFrame.from_landmarks(upper_jaw), network, source, other)


def shown_mouth(driver: Driver, upper_jaw: Float64Array, config: MouthConfig) -> OwnMouth | None:
    """The open mouth that a photo shows, to be laid into another; None where its lips hide all but a slit of it."""
    shown, mask = driver.shown, np.zeros(driver.photo.shape[:2], np.float32)
    mask[shown.box.slices] = shown.mask | shown.gap
    try:
        return take_mouth(driver.photo, mask, MouthFrame.from_landmarks(upper_jaw), config)
    except InputError:
        return None
