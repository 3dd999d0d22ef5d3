"""Where the 68 landmarks lie on the head model, and how the jaw line slides over it as the head turns.

Two definitions are known. "mesh" is the model's own vertices. "annotated" is where people mark landmarks, as landmark
predictors learn: brows on the upper edge of the hair, lips on the edge of the red, lid points at thirds of the eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latentface.head.model import HeadModel

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Definition = Literal["annotated", "mesh"]

JAW = 17  # the first landmarks are the jaw line's
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # left in the picture, which is the subject's right
# Pairs of upper and lower points whose distance is the opening of lips and lids.
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))
LID_PAIRS = (((37, 41), (38, 40)), ((43, 47), (44, 46)))

_SLICES = 13  # vertices in which a jaw point may lie, from behind it to the front of the cheek
_BEHIND, _BEFORE = 1.0, 4.5  # centimetres of depth that they span
_FACE_CENTRE = np.array([0.0, 1.5])  # centre for sorting the jaw line by direction, centimetres
_RED_UPPER, _RED_LOWER = 0.64, 0.9  # end of the red between the mesh's inner and outer lip line
# How far below the mesh's brow points the brow's upper edge lies, in inter-ocular distances, from the tip inwards.
_BROW_DROP = (0.085, 0.058, 0.053, 0.057, 0.095)
_NOSE_DROP = -0.032  # the same of the outer points of the nose's base: where the nostrils' wings end
# Offsets of annotated points of the jaw line from the model's towards the next point (below 0: the previous one), from
# the ear to beside the chin, as fractions of the distance.
_JAW_SHIFT = (0.4, 0.2, 0.28, 0.2, -0.07, -0.4, -0.2, -0.1)


@dataclass(frozen=True, eq=False)
class FacePoints:
    """The model's shapes at its landmarks.

    Attributes:
        vertices, weights: landmark i is the weighted mean of some vertices, [68, 8] each (weights of 0 pad). The jaw
            line's are those of the model's own points.
        base, identity, expressions: the model's linear shapes at the landmarks, [68, 3], [K, 68, 3], [E, 68, 3].
        strips: the vertices that each jaw point may slide over, [17, C], from the back to the front.
        outward: unit directions [17, 3] from the middle of the face to the jaw points at rest.
        balls, ball_identity: centres of the eyeballs, [2, 3] and [K, 2, 3]; first that on the picture's left.
        inter_ocular: distance between the centres of the eyes, centimetres.
    """

    vertices: Integers
    weights: Array
    base: Array
    identity: Array
    expressions: Array
    strips: Integers
    strip_base: Array
    strip_identity: Array
    strip_expressions: Array
    outward: Array
    balls: Array
    ball_identity: Array
    inter_ocular: float

    @cached_property
    def modes(self) -> Array:
        """Identity and expressions in one, [K + E, 68 * 3]."""
        return np.concatenate([self.identity, self.expressions]).reshape(-1, self.base.size)

    @cached_property
    def strip_modes(self) -> Array:
        """The same at the vertices of the strips, [K + E, 17 * C, 3]."""
        return np.concatenate([self.strip_identity, self.strip_expressions])


@lru_cache(maxsize=4)
def face_points(model: HeadModel, definition: Definition = "annotated") -> FacePoints:
    """The landmarks of a model under a definition; kept for the last few models."""
    rest = model.neutral[model.landmarks].astype(np.float64)
    own = np.zeros((68, 8))
    own[:, 0] = 1.0
    vertices = np.repeat(model.landmarks[:, None], 8, 1)
    if definition == "annotated":
        vertices, own = _annotated(model, rest)
    balls = [np.flatnonzero(model.regions[f"eyeball_{side}"] > 0.5) for side in ("right", "left")]
    base = _combine(model.neutral[None], vertices, own)[0]
    strips, outward = _jaw_strips(model, base[:JAW])
    flat = strips.reshape(-1)
    return FacePoints(
        vertices=vertices,
        weights=own,
        base=base,
        identity=_combine(model.identity, vertices, own),
        expressions=_combine(model.expressions, vertices, own),
        strips=strips,
        strip_base=model.neutral[flat].astype(np.float64),
        strip_identity=model.identity[:, flat].astype(np.float64),
        strip_expressions=model.expressions[:, flat].astype(np.float64),
        outward=outward,
        balls=np.stack([_middle(model.neutral[ball]) for ball in balls]),
        ball_identity=np.stack([model.identity[:, ball].mean(1) for ball in balls], 1).astype(np.float64),
        inter_ocular=inter_ocular(rest),
    )


def inter_ocular(points: NDArray[np.floating]) -> float:
    """Distance between the centres of the eyes of landmarks [68, D], in their unit."""
    return float(np.linalg.norm(points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)))


def _middle(points: NDArray[np.floating]) -> Array:
    """The middle [3] of the box around points [N, 3]."""
    middle: Array = (points.min(0).astype(np.float64) + points.max(0)) / 2
    return middle


def _combine(shapes: NDArray[np.floating], vertices: Integers, weights: Array) -> Array:
    """Weighted means [S, 68, 3] of the vertices of shapes [S, V, 3]."""
    combined: Array = np.einsum("slwc,lw->slc", shapes[:, vertices].astype(np.float64), weights)
    return combined


def _annotated(model: HeadModel, rest: Array) -> tuple[Integers, Array]:
    """Vertices [68, 8] and weights [68, 8] of the points that annotators mark, found on the neutral head."""
    mixes = {i: {i: 1.0} for i in range(68)}
    for point, shift in enumerate(_JAW_SHIFT):
        for own, step in ((point, 1), (JAW - 1 - point, -1)):
            mixes[own] = {own: 1 - abs(shift), own + (step if shift > 0 else -step): abs(shift)}
    for chain in ((36, 37, 38, 39), (36, 41, 40, 39), (45, 44, 43, 42), (45, 46, 47, 42)):
        for point, share in ((chain[1], 1 / 3), (chain[2], 2 / 3)):
            mixes[point] = _on_chain(rest, chain, share)
    mixes |= _lips(rest)
    vertices = np.repeat(model.landmarks[:, None], 8, 1)
    weights = np.zeros((68, 8))
    for point, mix in mixes.items():
        for k, (source, weight) in enumerate(mix.items()):
            vertices[point, k], weights[point, k] = model.landmarks[source], weight
    skin = np.unique(model.part("skin"))
    length = inter_ocular(rest)
    drops = dict(enumerate((*_BROW_DROP, *_BROW_DROP[::-1]), 17)) | {31: _NOSE_DROP, 35: _NOSE_DROP}
    for point, drop in drops.items():
        place = rest[point] - (0, drop * length, 0)
        front = skin[model.neutral[skin, 2] > rest[point, 2] - 2]
        vertices[point, 0] = front[np.linalg.norm(model.neutral[front, :2] - place[:2], axis=1).argmin()]
    return vertices, weights


def _lips(rest: Array) -> dict[int, dict[int, float]]:
    """The lip points on the edge of the red, the others below and beside the peaks of Cupid's bow."""
    left, middle, right = (_share(rest, 48, 54, point) for point in (50, 51, 52))
    around = (left / 2, left, middle, right, (right + 1) / 2)
    halves = (
        ((48, 60, 61, 62, 63, 64, 54), (48, 49, 50, 51, 52, 53, 54), _RED_UPPER),
        ((48, 60, 67, 66, 65, 64, 54), (48, 59, 58, 57, 56, 55, 54), _RED_LOWER),
    )
    mixes: dict[int, dict[int, float]] = {}
    for inner, outer, red in halves:
        for point, share in zip(outer[1:-1], around, strict=True):
            mixes[point] = _sum(_on_chain(rest, inner, share), 1 - red, _on_chain(rest, outer, share), red)
        for point, share in ((inner[2], left), (inner[4], right)):
            mixes[point] = _on_chain(rest, inner, share)
    return mixes


def _share(rest: Array, first: int, last: int, point: int) -> float:
    """How far along the line between two landmarks another stands, seen from the front."""
    chord = rest[last, :2] - rest[first, :2]
    return float((rest[point, :2] - rest[first, :2]) @ chord / (chord @ chord))


def _on_chain(rest: Array, chain: tuple[int, ...], share: float) -> dict[int, float]:
    """The point of a polyline of landmarks at a share of the line between its ends, as weights of two of them."""
    along = [_share(rest, chain[0], chain[-1], point) for point in chain]
    after = int(np.clip(np.searchsorted(along, share), 1, len(chain) - 1))
    part = float(np.clip((share - along[after - 1]) / (along[after] - along[after - 1]), 0, 1))
    return {chain[after - 1]: 1 - part, chain[after]: part}


def _sum(first: dict[int, float], a: float, second: dict[int, float], b: float) -> dict[int, float]:
    return {k: a * first.get(k, 0.0) + b * second.get(k, 0.0) for k in first | second}


def _jaw_strips(model: HeadModel, jaw: Array) -> tuple[Integers, Array]:
    """Vertices [17, C] over which the jaw points slide, and their outward directions [17, 3] at rest.

    Each strip runs over the skin from behind the jaw point to the front of the cheek or chin, seen from the middle of
    the face in one direction: in every slice of depth, the outermost vertex near that direction.
    """
    skin = np.unique(model.part("skin"))
    place = model.neutral[skin].astype(np.float64)
    away = place[:, :2] - _FACE_CENTRE
    radius = np.linalg.norm(away, axis=1)
    strips = np.empty((JAW, _SLICES), np.int64)
    outward = np.zeros((JAW, 3))
    for i, point in enumerate(jaw):
        reach = float(np.linalg.norm(point[:2] - _FACE_CENTRE))
        outward[i, :2] = (point[:2] - _FACE_CENTRE) / reach
        off = np.arccos(np.clip(away @ outward[i, :2] / np.maximum(radius, 1e-6), -1, 1))
        edges = point[2] + np.linspace(-_BEHIND, _BEFORE, _SLICES)
        for k, depth in enumerate(edges):
            cost = (place[:, 2] - depth) ** 2 + (reach * off) ** 2 + 100.0 * (radius < 0.55 * reach)
            strips[i, k] = skin[cost.argmin()]
    return strips, outward
