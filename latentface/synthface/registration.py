"""Registration of MakeHuman's base head to a morphable head, by landmarks and a thin-plate spline.

MakeHuman's skins, hair, brows and lashes (CC0) are all modelled on one base mesh; one warp of that mesh carries
them to any head with Multi-PIE landmarks. The spline is Bookstein's (1989), from scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from latentface.arrays import BoolArray, Float32Array, Int32Array
from latentface.synthface.head import HeadModel
from latentface.synthface.wavefront import Mesh

# Places on MakeHuman's base head (x, y in decimetres, subject's left), read off a frontal view of the mesh, beside
# the Multi-PIE landmarks they are: one index, or several to average. Mirrored points are added by symmetry.
FRONTAL_PAIRS: tuple[tuple[tuple[float, float], tuple[int, ...]], ...] = (
    ((0.44, 7.29), (45,)),  # outer eye corner
    ((0.18, 7.28), (42,)),  # inner eye corner
    ((0.31, 7.335), (43, 44)),  # upper lid
    ((0.31, 7.240), (46, 47)),  # lower lid
    ((0.00, 7.32), (27,)),  # nasion
    ((0.00, 7.07), (29,)),  # bridge
    ((0.00, 6.925), (30,)),  # nose tip
    ((0.00, 6.815), (33,)),  # subnasale
    ((0.115, 6.845), (35,)),  # nostril base
    ((0.25, 6.61), (54,)),  # mouth corner
    ((0.00, 6.755), (51,)),  # upper lip, outer
    ((0.07, 6.765), (52,)),
    ((0.00, 6.49), (57,)),  # lower lip, outer
    ((0.10, 6.505), (56,)),
    ((0.00, 6.61), (62, 66)),  # lip line
    ((0.00, 6.175), (8,)),  # chin
)
BROW_DROP = np.array([0, 1.1, 0], np.float32)  # from the brow ridge to where its hair grows, centimetres


@dataclass(frozen=True, eq=False)
class Registration:
    """A warp both ways between MakeHuman's base mesh and a head's rest pose, and the warped base mesh."""

    base: Mesh
    base_in_head: Float32Array  # [B, 3] base vertices in head coordinates
    to_base: RBFInterpolator


def register(base: Mesh, head: HeadModel) -> Registration:
    """Fit the warp on mirrored frontal landmarks plus crown, back, temples and neck."""
    skin = np.unique(base.triangles[[g == "body" for g in base.groups]])
    on_base, on_head = _pairs(base.vertices[skin], head)
    to_head = RBFInterpolator(on_base, on_head, kernel="thin_plate_spline", smoothing=1e-5)
    to_base = RBFInterpolator(on_head, on_base, kernel="thin_plate_spline", smoothing=1e-3)
    return Registration(base, to_head(base.vertices).astype(np.float32), to_base)


def _pairs(skin: Float32Array, head: HeadModel) -> tuple[Float32Array, Float32Array]:
    mirrored = head.vertices * np.array([-1, 1, 1], np.float32)
    base_points: list[Float32Array] = []
    head_points: list[Float32Array] = []
    for (x, y), indices in FRONTAL_PAIRS:
        point = _front_point(skin, x, y)
        target = head.vertices[head.landmarks68[list(indices)]].mean(0)
        base_points.append(point)
        head_points.append(target)
        if x:
            base_points.append(point * np.array([-1, 1, 1], np.float32))
            head_points.append(mirrored[head.landmarks68[list(indices)]].mean(0))
    # Brows: where the brow meshes lie on the base, and a little below the head's brow ridge, where hair grows.
    for sign, brow in ((1, (22, 23, 24, 25, 26)), (-1, (21, 20, 19, 18, 17))):
        inner, middle, outer = head.vertices[head.landmarks68[[brow[0], brow[2], brow[4]]]] - BROW_DROP
        for (x, y), target in zip(((0.13, 7.38), (0.37, 7.436), (0.55, 7.37)), (inner, middle, outer), strict=True):
            base_points.append(_front_point(skin, x * sign, y))
            head_points.append(target)
    for point, target in zip(_silhouette(skin, (7.9, 6.0)), _silhouette(head.vertices, (9.5, -9.5)), strict=True):
        base_points.append(point)
        head_points.append(target)
    return np.array(base_points, np.float32), np.array(head_points, np.float32)


def _front_point(skin: Float32Array, x: float, y: float) -> Float32Array:
    """The front-most point of the skin near (x, y): the mean depth of nearby vertices, outliers behind excluded."""
    front = skin[(skin[:, 2] > 0.9) & (skin[:, 1] > 6.0)]
    distance = np.linalg.norm(front[:, :2] - np.array([x, y], np.float32), axis=1)
    nearest = np.argsort(distance)[:6]
    nearest = nearest[front[nearest, 2] > front[nearest, 2].max() - 0.08]  # the mouth cavity lies behind the lips
    weight = 1.0 / (distance[nearest] + 1e-3)
    return np.array([x, y, float((front[nearest, 2] * weight).sum() / weight.sum())], np.float32)


def _silhouette(vertices: Float32Array, levels: tuple[float, float]) -> list[Float32Array]:
    """Crown, back of the skull, both temples (at the upper level) and the neck's front, back and sides (lower)."""
    temple_level, neck_level = levels
    crown = vertices[vertices[:, 1].argmax()]
    unit = (crown[1] - temple_level) * 0.15
    at_temple = vertices[np.abs(vertices[:, 1] - temple_level) < unit]
    at_neck = vertices[np.abs(vertices[:, 1] - neck_level) < unit]
    middle = np.array([0, 1, 1], np.float32)
    points = [crown * middle, at_temple[at_temple[:, 2].argmin()] * middle]
    for ring in (at_temple, at_neck):
        side = ring[ring[:, 0].argmax()]
        points += [side, side * np.array([-1, 1, 1], np.float32)]
    points.append(at_neck[at_neck[:, 2].argmin()] * middle)
    return [np.asarray(p, np.float32) for p in points]


def attach(points: Float32Array, anchors: Float32Array, neighbours: int = 4) -> tuple[Int32Array, Float32Array]:
    """Nearest anchors [P, k] of each point and inverse-distance weights [P, k] that sum to one."""
    distance, index = cKDTree(anchors).query(points, k=neighbours)
    weight = 1.0 / (distance + 1e-2)
    return index.astype(np.int32), (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def texcoords_at(
    registration: Registration, points: Float32Array, samples: int = 600_000, seed: int = 0
) -> Float32Array:
    """Texture coordinates [P, 2] of the base mesh's skin nearest to points [P, 3] given in head coordinates."""
    base = registration.base
    body = np.array([g == "body" for g in base.groups])
    corners = base.vertices[base.triangles[body]]
    head_only = corners[:, :, 1].min(1) > 5.2
    corners = corners[head_only]
    texcoords = base.texcoords[base.texcoord_triangles[body][head_only]]
    rng = np.random.default_rng(seed)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(corners), samples, p=area / area.sum())
    first, second = rng.random((2, samples, 1)).astype(np.float32)
    fold = first + second > 1
    first, second = np.where(fold, 1 - first, first), np.where(fold, 1 - second, second)

    def blend(values: Float32Array) -> Float32Array:
        a, b, c = values[chosen, 0], values[chosen, 1], values[chosen, 2]
        mixed: Float32Array = a + first * (b - a) + second * (c - a)
        return mixed

    places = blend(corners)
    outer = ~_behind_face(places)
    _, nearest = cKDTree(places[outer]).query(registration.to_base(points).astype(np.float32), workers=-1)
    found: Float32Array = blend(texcoords)[outer][nearest]
    return found


def _behind_face(places: Float32Array, cell: float = 0.02, depth: float = 0.12) -> BoolArray:
    """Samples of the base mesh inside the mouth or nostrils: well behind the front-most sample at their (x, y)."""
    face = (np.abs(places[:, 0]) < 0.5) & (places[:, 1] > 6.3) & (places[:, 1] < 7.2) & (places[:, 2] > 0.4)
    column = ((places[:, :2] + 20) / cell).astype(np.int64)
    key = column[:, 0] * 4096 + column[:, 1]
    _, place = np.unique(key, return_inverse=True)
    front = np.full(int(place.max()) + 1, -np.inf, np.float32)
    np.maximum.at(front, place, places[:, 2])
    hidden: BoolArray = face & (places[:, 2] < front[place] - depth)
    return hidden
