"""Folders of drawn people as the recipes of photographs read them: faces.jsonl, crops/ and driven shards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from latentface import hub
from latentface.faces.crop import MIRROR
from latentface.head.fit import HeadFit
from latentface.training.photo_landmarks import mesh_weights
from tests.helpers.drawn_faces import mean_shape
from tests.helpers.drawn_people import draw_person

SIDE = 128
CHANGES = 3  # numbers that say what a driven picture's expression is


def person(number: int, mouth: int) -> np.ndarray:
    """A picture of 128 pixels of a person who is told by the skin, the mouth a line (0) or open (1)."""
    rng = np.random.default_rng(number)
    skin = tuple(int(v) for v in rng.integers(90, 220, 3))
    return np.asarray(Image.fromarray(draw_person(rng, mouth, skin, 10)).resize((SIDE, SIDE)))


def write_folder(folder: Path, count: int, **changes: object) -> Path:
    """Rows and crops of people 0..count, all alike but for `changes` of the last row."""
    (folder / "crops").mkdir(parents=True)
    rows = []
    for number in range(count):
        name = f"person{number:03d}.png"
        Image.fromarray(person(number, 0)).save(folder / "crops" / name)
        rows.append(
            {"name": name, "source": "faker", "jaw": 150, "inside": 1.0, "colour": 40.0, "landmarks": places().tolist()}
        )
    rows[-1].update(changes)
    (folder / "faces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def places() -> np.ndarray:
    """Landmarks [68, 2] in pixels of such a picture."""
    shape = np.asarray(mean_shape(), np.float32)
    low, high = shape.min(0), shape.max(0)
    return np.asarray((shape - low) / (high - low) * 0.5 * SIDE + 0.25 * SIDE)


def write_driven(folder: Path, people: int) -> Path:
    """A shard in which every one of these people opens the mouth, which the second coefficient says."""
    folder.mkdir(parents=True)
    still = np.zeros((people, CHANGES - 1), np.float32)
    opened = still.copy()
    opened[:, 1] = 1.0
    pose = np.zeros((people, 3), np.float32)
    np.savez(
        folder / "shard-00000.npz",
        images=np.stack([person(number, 1) for number in range(people)]),
        landmarks=np.stack([places()] * people),
        name=np.array([f"person{number:03d}.png" for number in range(people)]),
        seed=np.arange(people, dtype=np.int64) + 100,
        coefficients=opened,
        coefficient_names=np.array(["mouthSmileLeft", "jawOpen"]),
        kind=np.full(people, 1, np.int64),
        kind_names=np.array(["neutral", "happiness"]),
        source_coefficients=still,
        pose=pose + np.array([20.0, 0.0, 0.0], np.float32),
        source_pose=pose,
        light=np.zeros((people, 4), np.float32),
    )
    return folder


def mesh_of(points: np.ndarray) -> np.ndarray:
    """Vertices [478, 2] of a face mesh whose landmarks lie at points [68, 2], as nearly as one can have them."""
    weights = mesh_weights().astype(np.float64)
    middle = points.mean(0)
    return np.asarray(np.linalg.pinv(weights) @ (points - middle) + middle, np.float32)


def write_mesh(path: Path, names: list[str]) -> Path:
    """The file of `face_mesh` for pictures of people, in which both readings agree."""
    plain, mirrored = mesh_of(places()), mesh_of(mirror_points(places()))
    mirrored[:, 0] = SIDE - 1 - mirrored[:, 0]
    np.savez(path, name=names, plain=np.stack([plain] * len(names)), mirrored=np.stack([mirrored] * len(names)))
    return path


def mirror_points(points: np.ndarray) -> np.ndarray:
    """Landmarks [68, 2] of such a picture's mirror image."""
    return np.asarray(points[list(MIRROR)] * [-1, 1] + [SIDE - 1, 0])


def fit_of(shapes: Mapping[str, float]) -> HeadFit:
    """An average head that looks into the camera, with weights of some shapes."""
    names = hub.head_model().expression_names
    weights = np.array([shapes.get(name, 0.0) for name in names])
    return HeadFit(names, np.zeros(2), weights, 0.0, 0.0, 0.0, 5.0, np.full(2, 64.0), np.zeros((68, 3)), np.arange(17))


def write_fits(path: Path, faces: Path, smiling: Iterable[int]) -> Path:
    """The heads of the people of a folder, as `synthface.portraits` keeps them: some smile, the others are neutral."""
    smile = fit_of({"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7}).to_json()
    calm, happy = fit_of({}).to_json(), set(smiling)
    rows = [json.loads(line) for line in (faces / "faces.jsonl").read_text().splitlines()]
    path.write_text(
        "".join(
            f'{{"name": {json.dumps(row["name"])}, "fit": {smile if k in happy else calm}}}\n'
            for k, row in enumerate(rows)
        )
    )
    return path
