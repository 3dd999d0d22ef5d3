"""A plain face's 68 landmarks, and a photo around such a face."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Pixels
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop


def face_points(centre: tuple[float, float], unit: float, turn: float = 0.0) -> np.ndarray:
    """68 landmarks of a plain face; unit: its inter-ocular distance; turn in radians."""
    jaw = [(-1.1 * np.cos(t), 0.2 + 1.5 * np.sin(t)) for t in np.linspace(0, np.pi, 17)]
    brows = [(x, -0.35) for x in (-0.8, -0.65, -0.5, -0.35, -0.2, 0.2, 0.35, 0.5, 0.65, 0.8)]
    nose = [(0, y) for y in (0.0, 0.2, 0.4, 0.6)] + [(x, 0.7) for x in (-0.2, -0.1, 0, 0.1, 0.2)]
    eyes = [
        (s * 0.5 + 0.18 * np.cos(t), 0.07 * np.sin(t)) for s in (-1, 1) for t in np.linspace(np.pi, 3 * np.pi, 7)[:6]
    ]
    mouth = [(0.4 * np.cos(t), 1.1 + 0.15 * np.sin(t)) for t in np.linspace(np.pi, 3 * np.pi, 13)[:12]]
    inner = [(0.3 * np.cos(t), 1.1 + 0.05 * np.sin(t)) for t in np.linspace(np.pi, 3 * np.pi, 9)[:8]]
    points = np.array([*jaw, *brows, *nose, *eyes, *mouth, *inner]) * unit
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation.T + centre)


def scene(
    height: int = 300, width: int = 260, unit: float = 45.0, turn: float = 0.15, wave: float = 40.0, grain: float = 3.0
) -> tuple[Pixels, FaceCrop]:
    """A photo with smooth colours and fine grain, and a crop of the face in its middle."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([120 + 60 * np.sin(x / wave), 110 + 50 * np.cos(y / wave), 100 + 0.2 * x], axis=-1)
    photo = np.clip(smooth + rng.normal(0, grain, smooth.shape), 0, 255).astype(np.uint8)
    points = face_points((width / 2, height / 2 - 0.3 * unit), unit, turn)
    return photo, crop_face(photo, points, 128)
