"""Transfers the motion of a driver's head to the head in a photo.

Changes of expression, gaze and pose since the driver's reference frame are added to the photo's own. But weights reach
their bounds, and lips that are apart in a smile would stay so where the driver's meet. So the openings, heights and
widths of `head.measures` are compared, and the weights of the mouth and the brows changed by as little as makes them
follow.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from latentface.arrays import Float64Array
from latentface.head.control_names import parse_parts
from latentface.head.controls import restrict
from latentface.head.fit import MOST_TURN, HeadFit
from latentface.head.gaze import Gaze
from latentface.head.measures import LIPS_APART, Reach, by_measure
from latentface.head.model import HeadModel
from latentface.motion.head_motion import HeadMotion, neck_joint
from latentface.options.clips import AnimateOptions

LARGEST_GAZE = 20.0  # degrees
LARGEST_PLACE = 1.0  # largest displacement of a neck in centimetres
LARGEST_SIZE = 0.06  # natural logarithm
SOFT = 0.6  # share of a limit from which motion slows down
#: Opposite shapes: a decrease of one below the reference frame counts as an increase of the other.
OPPOSED = (
    ("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"), ("eyeBlinkLeft", "eyeWideLeft"),
    ("eyeBlinkRight", "eyeWideRight"),
)  # fmt: skip
#: How exactly changes of the measures [M] are followed, in inter-ocular distances. Lids follow their own weights.
EXACTNESS = by_measure({
    "lips apart": 0.006, "corners": 0.012, "lids apart": np.inf, "outer brows": 0.02, "inner brows": 0.02,
    "corners' difference": 0.03, "lids' difference": np.inf, "outer brows' difference": 0.05,
    "inner brows' difference": 0.05, "mouth's width": 0.012,
})  # fmt: skip
#: How far shapes are changed for that, by the beginning of their names.
MOVERS = {
    "jawOpen": 0.3, "mouthClose": 0.2, "mouthUpperUp": 0.3, "mouthLowerDown": 0.3, "mouthSmile": 0.4, "mouthFrown": 0.3,
    "mouthPucker": 0.5, "mouthFunnel": 0.3, "mouthStretch": 0.3, "mouthDimple": 0.2, "mouthPress": 0.2,
    "browInnerUp": 0.5, "browOuterUp": 0.5, "browDown": 0.3,
}  # fmt: skip
CLOSING = 2.5  # times as fast as the driver's, lips close at most
#: Inter-ocular distances: opened by so much, lips that were closer than the driver's at first are as far apart.
WIDER = 0.15


class HeadRetargeting:
    """Transfers a driver's head motion to the head in the photo.

    relative: measures, weights and angles change as the driver's have since the reference frame. absolute: weights,
    gaze and pose are the driver's own. Either way the pose stays within `MOST_TURN` of the photo's, and what
    `options.only` leaves out stays as the photo has it.

    Args:
        model: the head.
        source: the head in the photo.
        reference: the driver's in the reference frame.
        options: how.
    """

    def __init__(self, model: HeadModel, source: HeadFit, reference: HeadMotion, options: AnimateOptions) -> None:
        self.source, self.reference, self.options = source, reference, options
        names = source.expression_names
        self.opposed = [(names.index(a), names.index(b)) for a, b in OPPOSED if a in names and b in names]
        self.blinks = [names.index(f"eyeBlink{side}") for side in ("Right", "Left")]
        self.looks = np.array([name.startswith("eyeLook") for name in names])
        self.own, self.only = HeadMotion.of(model, source, source), parse_parts(options.only)
        self._reach = Reach.of(model, source, EXACTNESS, MOVERS)

    def __call__(self, driving: HeadMotion) -> HeadFit:
        """The photo's head for a state of the driver."""
        absolute = self.options.mode == "absolute"
        base = self.own if absolute else self.reference
        turn = [limit(float(d - b), most) for d, b, most in zip(driving.pose, base.pose, MOST_TURN, strict=True)]
        weights = np.clip(driving.expression, 0.0, 1.0) if absolute else self._changed(driving)
        weights[self.blinks] += driving.shut * (1 - weights[self.blinks])
        change = driving.gaze - self.reference.gaze
        yaw, pitch = driving.gaze if absolute else self.own.gaze + [limit(float(c), LARGEST_GAZE) for c in change]
        looks = Gaze(float(yaw), float(pitch), 1.0).weights(self.source.expression_names)
        made = self.source.with_pose(*turn, relative=True)
        size, place = 0.0, np.zeros(2)
        if not absolute:
            size = limit(driving.size, LARGEST_SIZE)
            length = float(np.linalg.norm(driving.place))
            place = driving.place * (limit(length, LARGEST_PLACE) / max(length, 1e-9)) * self.source.scale
        growth = math.exp(size)
        joint = neck_joint(made)
        moved = replace(
            made, expression=np.where(self.looks, looks, weights), scale=growth * made.scale,
            translation=joint + place + growth * (made.translation - joint),
        )  # fmt: skip
        return restrict(self.source, moved, self.only) if self.only else moved

    def _changed(self, driving: HeadMotion) -> Float64Array:
        """The weights [E] that change as the driver's, and then as its measures."""
        source, moved, reference = self.own.expression, driving.expression, self.reference.expression
        made = source + moved - reference
        for a, b in self.opposed:
            change = (moved[a] - moved[b]) - (reference[a] - reference[b])
            here = source[a] - source[b]
            made[a], made[b] = max(here + change, 0.0), max(-here - change, 0.0)
        made = np.clip(made, 0.0, 1.0)
        asked = driving.measures - self.reference.measures
        lips = [float(head.measures[LIPS_APART]) for head in (self.own, self.reference, driving)]
        asked[LIPS_APART] = opening(*lips) - lips[0]
        least, most = np.minimum(source, 0.0), np.maximum(source, 1.0)
        return self._reach(made, asked - self._reach.slopes @ (made - source), least, most)


def opening(own: float, reference: float, driving: float) -> float:
    """How far lips are apart that are `own` apart in the photo, in inter-ocular distances.

    They meet where the driver's meet, even if they are farther apart than the driver's in its reference frame, and wide
    open they are as far apart as the driver's.
    """
    change = driving - reference
    if change < 0:
        return max(own + change * float(np.clip(own / max(reference, 1e-6), 1.0, CLOSING)), 0.0)
    return own + change * (1 + max(reference - own, 0.0) / WIDER)


def limit(value: float, most: float) -> float:
    """A value that is compressed from `SOFT` of a limit on, so that it approaches the limit and never exceeds it."""
    free = SOFT * most
    if abs(value) <= free:
        return value
    return math.copysign(free + (most - free) * math.tanh((abs(value) - free) / (most - free)), value)
