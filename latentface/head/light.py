"""The light on a face: second-order spherical harmonics fitted to the pixels of its skin.

A convex Lambertian surface under distant light is lit by nine harmonics of its normal to within two per cent
(Ramamoorthi and Hanrahan 2001; Basri and Jacobs 2003). The skin's mean colour is part of the coefficients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentface.head.model import HeadModel

Array = NDArray[np.float64]

#: How much of a change of light each colour of skin takes: shadows on skin are reddish.
TINT = np.array([0.75, 1.05, 1.2], np.float32)

_FEATURES = (
    "upper_lip", "lower_lip", "inner_mouth", "eyeball_left", "eyeball_right", "brow_left", "brow_right", "neck", "ears",
)  # fmt: skip
_FACING = 0.25  # least cosine between a normal and the view for a vertex to count
_ROUNDS = 6


def harmonics(normals: NDArray[np.floating]) -> Array:
    """The nine real spherical harmonics up to order 2 of unit normals [..., 3]: [..., 9].

    Order: 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2, each with its usual constant.
    """
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    columns = (
        0.282095 * np.ones_like(x), 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z,
        0.315392 * (3 * z**2 - 1), 1.092548 * x * z, 0.546274 * (x**2 - y**2),
    )  # fmt: skip
    return np.stack(columns, -1)


def vertex_normals(vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> Array:
    """Unit area-weighted normals [V, 3]; triangles [T, 3] are counter-clockwise seen from outside."""
    a, b, c = (np.asarray(vertices, np.float64)[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    flat = triangles.ravel()
    summed = np.stack([np.bincount(flat, np.repeat(face[:, k], 3), len(vertices)) for k in range(3)], 1)
    unit: Array = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
    return unit


def fit_light(model: HeadModel, projected: Array, photo: NDArray[np.uint8]) -> Array:
    """Coefficients [9, 3] such that harmonics(normal) @ coefficients is the skin's colour, 0..1 as stored (sRGB).

    Args:
        model: the head.
        projected: the head's vertices in photo pixels, [V, 3], y down and z towards the viewer.
        photo: uint8 RGB [H, W, 3].

    Normals are in the picture's axes: x to the right, y up, z towards the viewer. Pixels that fit badly (hair,
    spectacles, a beard) lose their weight (Cauchy). All zero where no skin lies inside the photo.
    """
    upright = projected * (1.0, -1.0, 1.0)
    normals = vertex_normals(upright, model.part("skin"))
    skin = np.zeros(len(projected), bool)
    skin[model.part("skin").ravel()] = True
    for name in _FEATURES:
        if name in model.regions:
            skin &= model.regions[name] < 0.3
    height, width = photo.shape[:2]
    x, y = np.rint(projected[:, 0]).astype(int), np.rint(projected[:, 1]).astype(int)
    seen = skin & (normals[:, 2] > _FACING) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    if seen.sum() < 30:
        return np.zeros((9, 3))
    colours = photo[y[seen], x[seen]].astype(np.float64) / 255
    basis = harmonics(normals[seen])
    weight = normals[seen, 2]
    ridge = 0.02 * seen.sum() * np.diag([0.01, 1, 1, 1, 3, 3, 3, 3, 3]) * weight.mean()
    light = np.zeros((9, 3))
    for _ in range(_ROUNDS):
        light = np.linalg.solve(basis.T @ (weight[:, None] * basis) + ridge, basis.T @ (weight[:, None] * colours))
        miss = np.linalg.norm(basis @ light - colours, axis=1)
        scale = max(1.5 * float(np.median(miss)), 1e-3)
        weight = normals[seen, 2] / (1 + (miss / scale) ** 2)
    return light
