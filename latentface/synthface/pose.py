"""Where a scene puts the head: its shape, its eyes, and the turn of head and shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentface.arrays import Float32Array, Int64Array
from latentface.synthface.camera import rotation
from latentface.synthface.head import HeadModel
from latentface.synthface.scene import Scene, paired

SCLERA, IRIS = ("M_ScleraLeft", "M_ScleraRight"), ("M_IrisLeft", "M_IrisRight")
TORSO_TURN = 0.4  # the shoulders follow this share of the head's turn
NECK = (-15.0, -8.0)  # rest height, centimetres: the shoulders' turn below, the head's above
VERGENCE = 1.5  # degrees by which each eye turns inward


@dataclass(frozen=True, eq=False)
class Pose:
    """Rotations 3x3 of head and shoulders."""

    head: Float32Array
    body: Float32Array

    @staticmethod
    def of(scene: Scene) -> Pose:
        """The pose of a scene; the shoulders follow a share of the head's turn."""
        angles = (scene.yaw, scene.pitch, scene.roll)
        return Pose(rotation(*angles), rotation(*(TORSO_TURN * a for a in angles)))

    def apply(self, points: Float32Array, rest: Float32Array) -> Float32Array:
        """World positions [N, 3] of points in the head's frame, blended over the neck (linear-blend skinning)."""
        share = np.clip((rest[:, 1:2] - NECK[0]) / (NECK[1] - NECK[0]), 0, 1)
        blended: Float32Array = share * (points @ self.head.T) + (1 - share) * (points @ self.body.T)
        return blended


@dataclass(frozen=True, eq=False)
class Eyeball:
    """An eyeball's vertices and its centre at rest; side is +1 for the subject's left, -1 for the right."""

    indices: Int64Array
    centre: Float32Array
    side: int


def eyeballs(head: HeadModel) -> tuple[Eyeball, ...]:
    """The head's eyeballs, found by material; empty for a head without eyes."""
    found = []
    for side, materials in ((1, (SCLERA[0], IRIS[0])), (-1, (SCLERA[1], IRIS[1]))):
        indices = np.unique(head.triangles_of(*materials)).astype(np.int64)
        if len(indices):
            points = head.vertices[indices]
            found.append(Eyeball(indices, ((points.min(0) + points.max(0)) / 2).astype(np.float32), side))
    return tuple(found)


def shape(head: HeadModel, eyes: tuple[Eyeball, ...], scene: Scene) -> Float32Array:
    """Head vertices [V, 3] in the head's frame: identity, expression, lids that follow the gaze, turned eyes."""
    lids = {k: w for k, w in lid_shapes(*scene.gaze).items() if k in head.expression_names}
    shaped = head.morph(scene.identity, scene.expression | lids)
    for eye in eyes:
        drift = shaped[eye.indices].mean(0) - head.vertices[eye.indices].mean(0)
        pivot = eye.centre + drift
        turn = rotation(scene.gaze[0] - VERGENCE * eye.side, scene.gaze[1], 0)
        shaped[eye.indices] = (shaped[eye.indices] - pivot) @ turn.T + pivot
    return shaped


def lid_shapes(yaw: float, pitch: float) -> dict[str, float]:
    """Lid weights that follow a gaze in degrees (positive yaw to the subject's left, positive pitch down)."""
    sideways, vertical = float(np.clip(abs(yaw) / 35, 0, 1)), float(np.clip(abs(pitch) / 30, 0, 1))
    toward, away = ("L", "R") if yaw > 0 else ("R", "L")
    follow = {f"eyeLookOut_{toward}": sideways, f"eyeLookIn_{away}": sideways}
    return follow | paired("eyeLookDown" if pitch > 0 else "eyeLookUp", vertical)
