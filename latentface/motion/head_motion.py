"""The state of a head in a frame of a clip, and its motion since a reference frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentface.arrays import Float64Array
from latentface.head.fit import NECK_JOINT, HeadFit
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze
from latentface.head.measures import MEASURES, measure_head
from latentface.head.model import HeadModel

#: Degrees, centimetres, log of size and inter-ocular distances that the filter treats like a weight of 1.
_ANGLE, _PLACE, _SIZE, _MEASURE = 30.0, 6.0, 0.3, 0.3


@dataclass(frozen=True, eq=False)
class HeadMotion:
    """A head in one frame.

    Attributes:
        expression: weights [E] of the shapes; 0 for those that turn the eyes.
        measures: of the face, [M] (see `head.measures`).
        gaze: degrees to the subject's left and down, [2].
        pose: yaw, pitch and roll in degrees, [3].
        place: displacement of the neck joint since the reference frame, in centimetres of that frame, y down, [2].
        size: natural logarithm of the head's size relative to the reference frame.
        shut: how far the lids have closed relative to the reference frame, right eye and left, 0 to 1, [2].
    """

    expression: Float64Array
    measures: Float64Array
    gaze: Float64Array
    pose: Float64Array
    place: Float64Array
    size: float
    shut: Float64Array

    @classmethod
    def of(cls, model: HeadModel, fit: HeadFit, reference: HeadFit, shut: Float64Array | None = None) -> HeadMotion:
        """The motion in a fit relative to that of the reference frame; lids are open unless given."""
        gaze = Gaze.of(fit.expression_names, fit.expression)
        looks = np.array([name.startswith("eyeLook") for name in fit.expression_names])
        moved = (neck_joint(fit) - neck_joint(reference)) / reference.scale
        weights: Float64Array = np.where(looks, 0.0, fit.expression)
        size = float(np.log(fit.scale / reference.scale))
        lids = np.zeros(2) if shut is None else shut
        measures = measure_head(model, fit)
        return cls(weights, measures, np.array([gaze.yaw, gaze.pitch]), np.array(fit.pose), moved, size, lids)

    def pack(self) -> Float64Array:
        """Everything except the lids as one vector with components of similar magnitude."""
        gaze = self.gaze / (YAW_AT_ONE, PITCH_AT_ONE)
        camera = self.pose / _ANGLE, self.place / _PLACE, [self.size / _SIZE]
        return np.concatenate([gaze, *camera, self.measures / _MEASURE, self.expression])

    @classmethod
    def unpack(cls, vector: Float64Array, shut: Float64Array) -> HeadMotion:
        """The reverse of `pack`, with lids."""
        gaze = vector[:2] * (YAW_AT_ONE, PITCH_AT_ONE)
        measures, expression = np.split(vector[8:], [len(MEASURES)])
        angles, place, size = vector[2:5] * _ANGLE, vector[5:7] * _PLACE, float(vector[7]) * _SIZE
        return cls(expression, measures * _MEASURE, gaze, angles, place, size, shut)


def neck_joint(fit: HeadFit) -> Float64Array:
    """The position of the neck joint in photo pixels [2]."""
    joint: Float64Array = fit.translation + fit.scale * (fit.rotation @ NECK_JOINT)[:2] * (1, -1)
    return joint
