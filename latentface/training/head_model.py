"""The recipe of the morphable head: `python -m latentface.training.head_model ICT.npz OUT.safetensors`.

ICT.npz holds the arrays of USC ICT's ICT-FaceKit, light version: vertices, triangles, triangle_material and
material_names, identity_deltas, expression_deltas and expression_names, landmarks68, part_names and part_ranges.
Nothing is learnt: the skin, the back of the head, teeth, gums, tongue and eyeballs are kept, teeth and gums are
separated into upper and lower, the shapes get ARKit's names, gaze shapes also turn the eyeballs, and the weights of
regions are computed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from latentface.arrays import BoolArray, Float32Array, Int64Array
from latentface.head.model import HeadModel

Arrays = Mapping[str, npt.NDArray[Any]]

MODES = 60
KEPT = ("face", "head_and_neck", "gums_and_tongue", "teeth", "eyeball_left", "eyeball_right")
SIDES = {"left": 1.0, "right": -1.0}
GAZE_DEGREES = 30.0  # how far an eyeball turns at a coefficient of one; the scans' shapes move the lids only
TURNS = {"Up": (-1.0, 0.0), "Down": (1.0, 0.0), "In": (0.0, -1.0), "Out": (0.0, 1.0)}  # about x; about y, on the left
UPPER_LIP, LOWER_LIP = (48, 49, 50, 51, 52, 53, 54, 60, 61, 62, 63, 64), (55, 56, 57, 58, 59, 65, 66, 67)
INNER_LIPS = tuple(range(60, 68))
LIDS = {"right": ((36, 37, 38, 39), (40, 41)), "left": ((42, 43, 44, 45), (46, 47))}
BROWS = {"right": range(17, 22), "left": range(22, 27)}


def build(arrays: Arrays, modes: int = MODES) -> HeadModel:
    """Build the head from the arrays of ICT-FaceKit, with a number of modes of identity."""
    ranges = dict(zip((str(n) for n in arrays["part_names"]), arrays["part_ranges"].astype(int), strict=True))
    old = np.concatenate([np.arange(*ranges[name]) for name in KEPT])
    new = np.full(len(arrays["vertices"]), -1)
    new[old] = np.arange(len(old))
    of = {name: new[np.arange(*ranges[name])] for name in KEPT}
    kept = (new[arrays["triangles"]] >= 0).all(axis=1)
    triangles = new[arrays["triangles"][kept]].astype(np.int64)
    materials = arrays["material_names"][arrays["triangle_material"][kept]]
    neutral = arrays["vertices"][old].astype(np.float32)
    names = tuple(arkit_name(str(name)) for name in arrays["expression_names"])
    expressions = arrays["expression_deltas"][:, old].astype(np.float32)
    turn_eyeballs(expressions, names, neutral, of)
    landmarks = new[arrays["landmarks68"]].astype(np.int64)
    lower = np.linalg.norm(expressions[names.index("jawOpen")], axis=1) > 1.0  # cm: what moves with the jaw
    return HeadModel(
        neutral, arrays["identity_deltas"][:modes, old].astype(np.float32), expressions, names, triangles,
        find_parts(triangles, materials, neutral, of, lower), landmarks,
        weigh_regions(neutral, triangles, expressions, names, landmarks, of), find_mirror(neutral, of),
        find_loops(triangles, neutral, of["face"]),
    )  # fmt: skip


def arkit_name(name: str) -> str:
    """ARKit's name for a shape of ICT-FaceKit: browDown_L is browDownLeft."""
    return name.replace("_L", "Left").replace("_R", "Right")


def turn_eyeballs(
    expressions: Float32Array, names: Sequence[str], neutral: Float32Array, of: Mapping[str, Int64Array]
) -> None:
    """Add to each eyeLook shape the rotation of the eyeball, by GAZE_DEGREES."""
    for side, sign in SIDES.items():
        ball = of[f"eyeball_{side}"]
        centre = (neutral[ball].min(axis=0) + neutral[ball].max(axis=0)) / 2
        for word, (pitch, yaw) in TURNS.items():
            a, b = np.radians(GAZE_DEGREES) * pitch, np.radians(GAZE_DEGREES) * yaw * sign
            about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
            about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
            arm = neutral[ball] - centre
            expressions[names.index(f"eyeLook{word}{side.title()}"), ball] += arm @ (about_x @ about_y).T - arm


def find_parts(
    triangles: Int64Array,
    materials: npt.NDArray[Any],
    neutral: Float32Array,
    of: Mapping[str, Int64Array],
    lower: BoolArray,
) -> dict[str, Int64Array]:
    """Triangle indices by part."""
    inside = np.isin(triangles[:, 0], of["gums_and_tongue"])
    hangs = lower[triangles].all(axis=1)
    # gums surround the teeth: on the jaw, vertices further than this from any tooth belong to the tongue
    apart = np.zeros(len(neutral))
    apart[of["gums_and_tongue"]] = cKDTree(neutral[of["teeth"]]).query(neutral[of["gums_and_tongue"]])[0]
    tongue = inside & hangs & (apart[triangles].min(axis=1) > 0.35)
    teeth = materials == "M_Teeth"
    masks = {
        "skin": np.isin(triangles[:, 0], of["face"]), "back": np.isin(triangles[:, 0], of["head_and_neck"]),
        "teeth_upper": teeth & ~hangs, "teeth_lower": teeth & hangs, "tongue": tongue,
        "gums_upper": inside & ~hangs, "gums_lower": inside & hangs & ~tongue,
    }  # fmt: skip
    for side in SIDES:
        masks[f"sclera_{side}"] = materials == f"M_Sclera{side.title()}"
        masks[f"iris_{side}"] = materials == f"M_Iris{side.title()}"
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}


def find_mirror(neutral: Float32Array, of: Mapping[str, Int64Array]) -> Int64Array:
    """For each vertex, its mirror image: within the same part, or in the same part of the other side."""
    mirror = np.zeros(len(neutral), np.int64)
    other = {"eyeball_left": "eyeball_right", "eyeball_right": "eyeball_left"}
    for name, own in of.items():
        there = of[other.get(name, name)]
        mirror[own] = there[cKDTree(neutral[there]).query(neutral[own] * [-1, 1, 1])[1]]
    return mirror


def find_loops(triangles: Int64Array, neutral: Float32Array, face: Int64Array) -> dict[str, Int64Array]:
    """The boundary loops of the skin, each in order, except the one behind the ears."""
    skin = triangles[np.isin(triangles[:, 0], face)]
    directed = np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
    present = set(map(tuple, directed.tolist()))
    following = {a: b for a, b in present if (b, a) not in present}
    loops = {}
    while following:
        ring = [next(iter(following))]
        while (vertex := following.pop(ring[-1])) != ring[0]:
            ring.append(vertex)
        x, y, _ = neutral[ring].mean(axis=0)
        if len(ring) < 100:
            loops["mouth" if y < 0 else "eye_left" if x > 0 else "eye_right"] = np.array(ring, np.int64)
    return loops


def weigh_regions(
    neutral: Float32Array, triangles: Int64Array, expressions: Float32Array, names: Sequence[str],
    landmarks: Int64Array, of: Mapping[str, Int64Array],
) -> dict[str, Float32Array]:  # fmt: skip
    """Weights in [0, 1] of each region, by distances to landmarks and by what expressions move."""
    face = np.zeros(len(neutral), np.float32)
    face[of["face"]] = 1
    smooth = averaging(triangles, len(neutral))
    x, y, z = neutral.T

    def soft(mask: npt.NDArray[Any], rounds: int = 2) -> Float32Array:
        weights = mask.astype(np.float32) * face
        for _ in range(rounds):
            weights = smooth @ weights
        clipped: Float32Array = np.clip(weights, 0, 1) * face
        return clipped

    def near(points: Sequence[int] | range, reach: float) -> Float32Array:
        line = neutral[landmarks[list(points)]]
        steps = np.linspace(0, 1, 9)[:, None]
        dense = np.concatenate([a + steps * (b - a) for a, b in pairwise(line)])
        weights: Float32Array = np.exp(-((cKDTree(dense).query(neutral)[0] / reach) ** 2)).astype(np.float32) * face
        return weights

    def moved(*shapes: str) -> Float32Array:
        size = np.linalg.norm(sum((expressions[names.index(n)] for n in shapes), np.zeros_like(neutral)), axis=1)
        weights: Float32Array = (size / size.max()).astype(np.float32) * face
        return weights

    jaw = moved("jawOpen")
    upper, lower = split_lips(neutral, landmarks, of["face"])
    depth = cKDTree(neutral[landmarks[list(INNER_LIPS)]]).query(neutral)[0]
    behind = (upper | lower) & (z < 10.6) & (np.abs(x) < 2.3) & (depth > 0.25)
    regions = {
        "upper_lip": soft(upper), "lower_lip": soft(lower), "inner_mouth": soft(behind, 1), "jaw": jaw,
        "nose": soft((np.abs(x) < 1.9) & (y > -1.3) & (y < 3.4) & (z > 10.0), 4),
        "neck": soft(y < -8.2, 6), "ears": soft((np.abs(x) > 7.6) & (y > -2.5) & (y < 6.0) & (z < 3.2), 3),
    }  # fmt: skip
    for side, sign in SIDES.items():
        lids = moved(f"eyeBlink{side.title()}")
        height = cKDTree(neutral[landmarks[list(LIDS[side][0] + LIDS[side][1])]]).query(neutral)[1] < 4
        for name, own in ("upper", lids * height), ("lower", lids * ~height):
            regions[f"{name}_lid_{side}"] = own / own.max()
        regions[f"brow_{side}"] = near(BROWS[side], 0.7) * (x * sign > 0)
        ball = np.zeros(len(neutral), np.float32)
        ball[of[f"eyeball_{side}"]] = 1
        regions[f"eyeball_{side}"] = ball
    return {name: weights.astype(np.float32) for name, weights in regions.items()}


def split_lips(neutral: Float32Array, landmarks: Int64Array, face: Int64Array) -> tuple[BoolArray, BoolArray]:
    """The vertices of the upper and of the lower lip's red, including the insides of the lips."""
    points = neutral[landmarks]
    outline = points[48:60, :2]
    inside = np.zeros(len(neutral), bool)
    inside[face] = in_polygon(neutral[face, :2], outline) & (neutral[face, 2] > 9.0)
    upper = cKDTree(points[list(UPPER_LIP)]).query(neutral)[0] < cKDTree(points[list(LOWER_LIP)]).query(neutral)[0]
    corner = neutral[:, 1] > (points[48, 1] + points[54, 1]) / 2
    wide = np.abs(neutral[:, 0]) > np.abs(points[60, 0]) * 0.8
    upper = np.where(wide, corner, upper)
    return inside & upper, inside & ~upper


def in_polygon(points: Float32Array, outline: Float32Array) -> BoolArray:
    """Which points [N, 2] lie inside a closed outline [M, 2], by the even-odd rule."""
    a, b = outline, np.roll(outline, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    hits = ((a[:, 1] > y) != (b[:, 1] > y)) & (x < crossing)
    inside: BoolArray = hits.sum(axis=1) % 2 == 1
    return inside


def averaging(triangles: Int64Array, count: int) -> Any:
    """A sparse matrix [V, V] that replaces each vertex's value by the mean of it and of its neighbours."""
    rows = np.concatenate([triangles.ravel(), np.roll(triangles, 1, axis=1).ravel(), np.arange(count)])
    columns = np.concatenate([np.roll(triangles, 1, axis=1).ravel(), triangles.ravel(), np.arange(count)])
    matrix = sparse.coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), (count, count)).tocsr()
    matrix.data[:] = 1
    return (sparse.diags(1 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read ICT-FaceKit's arrays and write the head."""
    parser = argparse.ArgumentParser(description="The morphable head, from ICT-FaceKit's arrays.")
    parser.add_argument("ict", type=Path, metavar="ICT.npz", help="ICT-FaceKit's arrays")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="the file to write")
    parser.add_argument("--modes", type=int, default=MODES, help="modes of identity to keep")
    chosen = parser.parse_args(arguments)
    with np.load(chosen.ict) as arrays:
        model = build(dict(arrays), chosen.modes)
    model.save(chosen.out)
    print(f"{len(model.neutral)} vertices, {len(model.triangles)} triangles -> {chosen.out}")


if __name__ == "__main__":
    main()
