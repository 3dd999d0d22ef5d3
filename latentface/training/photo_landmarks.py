"""The 68 landmarks of photographs from MediaPipe's face mesh, to train the built-in network on real faces.

The mesh (Kartynnik et al. 2019, "Real-time facial surface geometry from monocular video on mobile GPUs"; Grishchenko et
al. 2020, "Attention mesh"; Apache 2.0) has 478 vertices with a fixed place on lips, lids, brows and contour. Each
landmark is a fixed mean of a few of them. `face_mesh` reads the vertices where MediaPipe is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from latentface.arrays import Float32Array
from latentface.errors import InputError
from latentface.faces.crop import MIRROR
from latentface.io.images import read_image
from latentface.synthface.portrait_sources import SourceFace, person_of
from latentface.training.data import load_shards
from latentface.training.faces import FaceData
from latentface.training.portraits import held_out_names, read_rows

VERTICES: Final = 478
SIDE: Final = 160  # pixels of the pictures to train on: the network sees a crop at 114
LIDS: Final = (([37, 38], [41, 40]), ([43, 44], [47, 46]))
MOST_SMEARED: Final = 0.06  # if the lids' opening differs by more from the driving head, the picture is torn
MOST_APART: Final = 0.035  # of the inter-ocular distance, between the readings of a picture and of its mirror image

#: Landmarks on the left of the picture and in the middle: weights of vertices. Lids (at thirds of the eye) and lips
#: follow the delineations that people made of 38 portraits of the Face Research Lab; how brows are spaced, nose and jaw
#: follow the mark-up as dlib's predictor places it on the average of these faces.
RULES: Final[Mapping[int, Mapping[int, float]]] = {
    0: {127: 1.0}, 1: {234: 0.8, 93: 0.2}, 2: {93: 0.5, 132: 0.5}, 3: {132: 0.45, 58: 0.55}, 4: {58: 0.3, 172: 0.7},
    5: {136: 0.9, 150: 0.1}, 6: {150: 0.3, 149: 0.7}, 7: {176: 0.5, 148: 0.5}, 8: {152: 1.0},
    17: {70: 0.75, 139: 0.25}, 18: {63: 0.9, 105: 0.1}, 19: {105: 0.7, 66: 0.3}, 20: {66: 0.7, 107: 0.3},
    21: {107: 0.55, 55: 0.35, 9: 0.1},
    27: {168: 0.75, 6: 0.25}, 28: {6: 0.15, 197: 0.85}, 29: {195: 0.55, 5: 0.45}, 30: {5: 0.1, 4: 0.9},
    31: {75: 0.8, 240: 0.2}, 32: {97: 0.7, 242: 0.3}, 33: {2: 1.0},
    36: {33: 0.75, 7: 0.25}, 37: {160: 0.3, 159: 0.7}, 38: {158: 0.65, 157: 0.35}, 39: {133: 0.8, 155: 0.2},
    40: {153: 1.0}, 41: {144: 0.7, 145: 0.3},
    48: {61: 1.0}, 49: {40: 0.4, 39: 0.6}, 50: {37: 1.0}, 51: {0: 1.0},
    57: {17: 0.9, 18: 0.1}, 58: {84: 0.9, 83: 0.1}, 59: {91: 0.35, 181: 0.65},
    60: {78: 0.6, 95: 0.2, 191: 0.2}, 61: {82: 0.85, 81: 0.15}, 62: {13: 1.0}, 66: {14: 1.0}, 67: {87: 0.85, 178: 0.15},
}  # fmt: skip
#: Vertices on the left of the picture that `RULES` names, and those opposite; the others lie in the middle.
OPPOSITE: Final[Mapping[int, int]] = {
    127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 149: 378, 176: 400, 148: 377,
    70: 300, 139: 368, 63: 293, 105: 334, 66: 296, 107: 336, 55: 285,
    75: 305, 240: 460, 97: 326, 242: 462, 33: 263, 7: 249, 160: 387, 159: 386, 158: 385, 157: 384, 155: 382, 133: 362,
    153: 380, 144: 373, 145: 374, 61: 291, 40: 270, 39: 269, 37: 267, 84: 314, 83: 313, 91: 321, 181: 405,
    78: 308, 95: 324, 191: 415, 82: 312, 81: 311, 87: 317, 178: 402,
}  # fmt: skip
#: The mesh underestimates how far brows move. Of the points 17-21: their mean height over the eye line in these
#: portraits by the mesh and as marked by people, in inter-ocular distances, and the gain of the latter over the former.
BROWS_READ: Final = (0.224, 0.355, 0.398, 0.380, 0.308)
BROWS_MEANT: Final = (0.205, 0.352, 0.404, 0.377, 0.297)
BROWS_GAIN: Final = (1.6, 1.2, 1.1, 1.05, 1.1)


def mesh_weights() -> Float32Array:
    """The matrix [68, 478] that takes vertices to landmarks."""
    made = np.zeros((68, VERTICES), np.float32)
    for point, rule in RULES.items():
        for vertex, weight in rule.items():
            made[point, vertex] = weight
            made[MIRROR[point], OPPOSITE.get(vertex, vertex)] = weight
    return made


def stretch_brows(points: Float32Array) -> Float32Array:
    """Landmarks [n, 68, 2] with the heights of brows as people mark them (see `BROWS_GAIN`)."""
    left, right = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    across, middle = right - left, (left + right) / 2
    up = np.stack([across[:, 1], -across[:, 0]], axis=1)[:, None]
    height = ((points[:, 17:27] - middle[:, None]) * up).sum(2) / np.square(up).sum(2)
    read, meant, gain = (np.array(each + each[::-1]) for each in (BROWS_READ, BROWS_MEANT, BROWS_GAIN))
    made: Float32Array = points.copy()
    made[:, 17:27] += (meant + gain * (height - read) - height)[..., None] * up
    return made


def agreed(plain: Float32Array, mirrored: Float32Array) -> tuple[Float32Array, NDArray[np.bool_]]:
    """The mean landmarks [n, 68, 2] of both readings, and whether the two agree, [n].

    Args:
        plain: vertices [n, 478, 2] as read in pictures; not a number where there is no face.
        mirrored: the same as read in their mirror images, the places taken back to the pictures.
    """
    weights = mesh_weights()
    first, second = stretch_brows(weights @ plain), stretch_brows((weights @ mirrored)[:, list(MIRROR)])
    both = (first + second) / 2
    eyes = np.linalg.norm(both[:, 42:48].mean(1) - both[:, 36:42].mean(1), axis=1)
    apart = np.linalg.norm(first - second, axis=2)[:, 17:].mean(1) / np.maximum(eyes, 1e-6)
    return both.astype(np.float32), apart < MOST_APART  # a comparison with what is not a number is False


def shrink(images: Sequence[NDArray[np.uint8]], points: Float32Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures uint8 [n, 3, 160, 160] and points of crops uint8 [S, S, 3] and points [n, 68, 2] in their pixels."""
    small = [
        F.interpolate(torch.from_numpy(image).permute(2, 0, 1)[None].float(), (SIDE, SIDE), mode="area")
        for image in images
    ]
    scale = SIDE / images[0].shape[0]
    moved = torch.from_numpy(points).float() * scale + (scale - 1) / 2
    return torch.cat(small).round().to(torch.uint8), moved


def photographed(faces: Sequence[SourceFace], label: str, values: torch.Tensor) -> FaceData:
    """Photographs with the landmarks that their folder knows, and values [n] of one label."""
    places = np.stack([face.landmarks for face in faces]).astype(np.float32)
    return FaceData(*shrink([read_image(face.path) for face in faces], places), labels={label: values})


def driven(
    shards: Mapping[str, NDArray[np.generic]], chosen: NDArray[np.intp], label: str, values: NDArray[np.int64]
) -> FaceData:
    """The pictures `chosen` of driven faces with their landmarks, and their values of one label of all shards [n]."""
    pictures = shards["images"].astype(np.uint8, copy=False)
    images, points = shrink([pictures[k] for k in chosen], shards["landmarks"].astype(np.float32)[chosen])
    return FaceData(images, points, labels={label: torch.from_numpy(values[chosen])})


def load_photos(faces: Path, mesh: Path) -> tuple[FaceData, FaceData]:
    """Photographs to train on and those held out (see `portraits`), with the landmarks in which both readings agree.

    Raises:
        InputError: no photographs there, or the vertices are not of these.
    """
    rows = read_rows(faces)
    names = [str(row["name"]) for row in rows]
    points, good = _read_mesh(mesh, names)
    held, known = held_out_names(rows), names_of_held_people(faces)

    def part(keep: Callable[[str], bool]) -> FaceData:
        chosen = [k for k, name in enumerate(names) if good[k] and keep(name)]
        if not chosen:
            raise InputError(f"{mesh}: no face to train on, or none to measure on, was read alike twice")
        return FaceData(*shrink([read_image(faces / "crops" / names[k]) for k in chosen], points[chosen]))

    return part(lambda name: name not in known), part(lambda name: name in held)


def names_of_held_people(faces: Path) -> frozenset[str]:
    """Names of all photographs of the people of whom one is held out."""
    rows = read_rows(faces)
    held = held_out_names(rows)
    people = {str(row["name"]): person_of(str(row["name"]), str(row["source"])) for row in rows}
    apart = {people[name] for name in held}
    return frozenset(name for name, person in people.items() if person in apart)


def load_driven(rigged: Path, mesh: Path, held: frozenset[str]) -> FaceData:
    """Pictures of people who are driven by the head, save those made of photographs `held`, with their landmarks.

    Raises:
        InputError: no shards, or the vertices are not of these.
    """
    shards = load_shards(rigged, ("images", "name", "seed", "landmarks"))
    points, good = _read_mesh(mesh, [str(seed) for seed in shards["seed"]])
    smeared = np.abs(opening(points) - opening(shards["landmarks"].astype(np.float32))).max(1) > MOST_SMEARED
    chosen = np.nonzero(good & ~smeared & ~np.isin(shards["name"], list(held)))[0]
    if not len(chosen):
        raise InputError(f"{mesh}: none of the driven faces was read alike twice")
    pictures = shards["images"].astype(np.uint8, copy=False)
    return FaceData(*shrink([pictures[k] for k in chosen], points[chosen]))


def opening(points: Float32Array) -> Float32Array:
    """How far the lids of both eyes are apart in landmarks [n, 68, 2], in inter-ocular distances: [n, 2]."""
    eyes = np.linalg.norm(points[:, 42:48].mean(1) - points[:, 36:42].mean(1), axis=1)
    apart = [points[:, upper].mean(1) - points[:, lower].mean(1) for upper, lower in LIDS]
    return np.asarray(np.linalg.norm(apart, axis=2).T / np.maximum(eyes, 1e-6)[:, None], np.float32)


def _read_mesh(path: Path, names: Sequence[str]) -> tuple[Float32Array, NDArray[np.bool_]]:
    with np.load(path, allow_pickle=False) as file:
        missing = {"name", "plain", "mirrored"} - set(file.files)
        if missing:
            raise InputError(f"{path} lacks {', '.join(sorted(missing))}: write it with latentface.training.face_mesh")
        known = [str(name) for name in file["name"]]
        if known != list(names):
            raise InputError(f"{path} holds {len(known)} faces, not the {len(names)} asked for: read the mesh again")
        return agreed(file["plain"].astype(np.float32), file["mirrored"].astype(np.float32))
