"""The light on a face, and relighting of changed shapes.

Skin is approximately Lambertian, so first-order spherical harmonics describe most of its shading (Basri and Jacobs
2003): the photo's value is a + b . n for a surface with normal n. Where normals change, the photo is multiplied by the
smoothed ratio of that value after and before.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.head.field import Field, Scene
from latentface.head.geometry import ramp
from latentface.head.light import TINT
from latentface.head.motion import Gain
from latentface.ops.raster import sample

SMOOTH = 0.05  # inter-ocular distances: the ratio is smoothed by a Gaussian of this width
LIMITS = (0.8, 1.14)  # of the ratio; stronger shadows look like stains, and stronger highlights artificial
LEAST = 0.25  # lower limit of the shading, as a part of the brightest: harmonics are unreliable below it
ROUNDS = 4
TURNED = 0.3  # of the change that comes from the turn of a head: all of it shows how little is known of the light
FINE = 1.0  # pixels at which the ratio is found, in deviations of that Gaussian


def find_light(photo: Pixels, scene: Scene) -> Float64Array:
    """A and b of the light, [4], by robust least squares over the face, without brows, shadows and highlights."""
    model = scene.model
    skin = (scene.trust > 0.9) & (scene.facing > 0.3)
    for name, weights in model.regions.items():
        if name not in ("jaw", "nose", "neck", "ears"):
            skin &= weights < 0.1
    places = scene.before[skin, :2]
    inside = (places >= 0).all(axis=1) & (places[:, 0] < scene.size[1]) & (places[:, 1] < scene.size[0])
    values = sample(photo, places[inside]).mean(axis=1).astype(np.float64)
    if len(values) < 50:  # hardly any of the face lies in the photo
        return np.array([1.0, 0, 0, 0])
    basis = np.column_stack([np.ones(len(values)), scene.normals[skin][inside]])
    weight = np.ones(len(values))
    penalty = 0.003 * len(values) * np.diag([0.0, 1, 1, 1])
    light = np.zeros(4)
    for _ in range(ROUNDS):
        light = np.linalg.solve(basis.T @ (weight[:, None] * basis) + penalty, basis.T @ (weight * values))
        off = values - basis @ light
        spread = 1.48 * np.median(np.abs(off)) + 1
        weight = 1 / (1 + np.square(off / (2 * spread)))
    return light


def turn_of(before: Float32Array, after: Float32Array, weight: Float32Array) -> Float64Array:
    """The rotation [3, 3] that turns normals [V, 3] best into others (Kabsch 1976), each with its weight, [V]."""
    left, _, right = np.linalg.svd(after.T.astype(np.float64) @ (weight[:, None] * before))
    turn: Float64Array = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    return turn


def relight(light: Float64Array, scene: Scene, field: Field, grey: bool = False) -> Gain:
    """The gain of the photo, which may be grey, after a change: 1 where its light stays the same."""
    turned = scene.normals @ turn_of(scene.normals, field.normals, scene.trust).T
    shading = [light[0] + normals @ light[1:] for normals in (scene.normals, turned, field.normals)]
    before, between, after = np.log(np.maximum(shading, LEAST * max(float(shading[0].max()), 1e-6)))
    change = after - between + TURNED * (between - before)
    change *= field.trust * scene.unfolding
    width = SMOOTH * scene.unit
    step = max(1, min(int(width * FINE), field.box.height, field.box.width))
    seen = field.raster.every(step).interpolate(scene.surface.closed(change[:, None].astype(np.float32)))
    shown = np.where(field.layer[step // 2 :: step, step // 2 :: step] == 0, seen[..., 0], 0)
    ratio: Float32Array = np.exp(ndimage.gaussian_filter(shown, width / step, truncate=2.5)).astype(np.float32)
    change = (np.clip(ratio, *LIMITS) - 1) * ramp(np.abs(ratio - 1), 0.0, 0.01)
    lighter, darker = np.maximum(change, 0)[..., None], np.minimum(change, 0)[..., None]
    return Gain(1 + lighter + darker * (np.ones(3, np.float32) if grey else TINT), step)
