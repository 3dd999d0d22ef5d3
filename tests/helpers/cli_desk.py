"""A tiny generator, and photos with made-up faces, so that the commands run in milliseconds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from latentface.cli import run
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import FeatureDistance
from latentface.pretrained.native import write_network

SKIN = (224, 172, 140)


def face_points() -> np.ndarray:
    """68 landmarks of a plain frontal face in the unit square."""
    turn = np.linspace(0, np.pi, 17)
    jaw = np.stack([0.5 - 0.42 * np.cos(turn), 0.4 + 0.55 * np.sin(turn)], 1)
    brows = np.stack([np.r_[np.linspace(0.15, 0.42, 5), np.linspace(0.58, 0.85, 5)], np.full(10, 0.25)], 1)
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.35, 0.55, 4)], 1)
    nose = np.concatenate([bridge, np.stack([np.linspace(0.42, 0.58, 5), np.full(5, 0.6)], 1)])
    ring6 = np.stack([np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3)], 1)
    eyes = np.concatenate([ring6 * (0.07, 0.03) + (0.3, 0.37), ring6 * (0.07, 0.03) + (0.7, 0.37)])
    outer = np.arange(12) * np.pi / 6
    inner = np.arange(8) * np.pi / 4
    mouth = np.concatenate(
        [
            np.stack([0.5 - 0.18 * np.cos(outer), 0.75 - 0.07 * np.sin(outer)], 1),
            np.stack([0.5 - 0.13 * np.cos(inner), 0.75 - 0.02 * np.sin(inner)], 1),
        ]
    )
    return np.concatenate([jaw, brows, nose, eyes, mouth])


def find_blobs(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stand-in detector: every upright run of skin-coloured columns is a face; the widest is the surest."""
    skin = (np.abs(photo.astype(int) - SKIN) < 24).all(2)
    columns = np.flatnonzero(np.diff(np.r_[0, skin.any(0).astype(int), 0]))
    boxes = []
    for x0, x1 in columns.reshape(-1, 2):
        rows = np.flatnonzero(skin[:, x0:x1].any(1))
        boxes.append([x0, rows[0], x1, rows[-1] + 1])
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return array, array[:, 2] - array[:, 0]


def place_points(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A stand-in landmark predictor: the plain face, stretched into each box."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return low + face_points()[None] * (high - low)


def draw_photo(faces: tuple[int, ...] = (90,), height: int = 140) -> np.ndarray:
    """uint8 RGB [height, W, 3]: a skin-coloured block with eyes and mouth for each width in `faces`."""
    width = sum(faces) + 30 * (len(faces) + 1)
    photo = np.full((height, width, 3), (70, 90, 120), np.uint8)
    x = 30
    for side in faces:
        photo[20 : 20 + side, x : x + side] = SKIN
        for u, v, w, h in ((0.22, 0.33, 0.16, 0.08), (0.62, 0.33, 0.16, 0.08), (0.3, 0.7, 0.4, 0.1)):
            top, left = 20 + round(v * side), x + round(u * side)
            photo[top : top + round(h * side), left : left + round(w * side)] = (60, 30, 30)
        x += side + 30
    return photo


class PixelDistance(FeatureDistance):
    """A distance without weights, with the interface of the perceptual networks: the squared error of the pixels."""

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (images,)

    def channel_weights(self) -> tuple[None]:
        return (None,)

    def normalise(self, features: torch.Tensor) -> torch.Tensor:
        return features


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    """A folder to work in, with a tiny network and a way to run commands on it."""

    folder: Path
    network: Path
    other_network: Path
    capsys: pytest.CaptureFixture[str]

    def photo(self, name: str = "anna.png", faces: tuple[int, ...] = (90,), **options: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_photo(faces)).save(path, **options)
        return path

    def run(self, *words: object) -> Outcome:
        self.capsys.readouterr()
        code = run([str(word) for word in words])
        captured = self.capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def project(self, *words: object) -> Outcome:
        return self.run("project", "--network", self.network, "--steps", 3, "-o", self.folder / "out", *words)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def written(self) -> list[str]:
        return sorted(path.name for path in self.out.iterdir()) if self.out.exists() else []


def write_tiny(path: Path, seed: int) -> Path:
    config = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8)
    write_network(path, "generator", asdict(config), Generator(config, seed=seed).state_dict(), dtype=torch.float32)
    return path
