"""Films of coloured blocks instead of people: the colour is the identity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.faces import alignment
from tests.helpers.faces import face_points

SIZE, SIDE = (120, 320), 60
RED, BROWN, PALE = (220, 60, 60), (130, 130, 40), (200, 190, 220)
AWAY = (182, 60, 60)  # somebody red who is turned away, and not detected
Blocks = dict[tuple[int, int, int], tuple[int, int]]  # left upper corners by colour


def frame(blocks: Blocks, ground: int = 0) -> Pixels:
    """Blocks of people on a ground of one grey; later ones are in front."""
    picture = np.full((*SIZE, 3), ground, np.uint8)
    for colour, (x, y) in blocks.items():
        picture[y : y + SIDE, x : x + SIDE] = colour
    return picture


def boxes(picture: Pixels, colours: Sequence[tuple[int, int, int]] = (RED, BROWN, PALE)) -> np.ndarray:
    """The boxes of blocks that are seen to the greater part."""
    scale = SIZE[1] / picture.shape[1]
    found = []
    for colour in colours:
        rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=2) < 30)
        if len(rows) * scale**2 > 0.6 * SIDE**2:
            found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return np.array(found, float).reshape(-1, 4)


class Places:
    """Landmarks on a grid in a box."""

    def __call__(self, picture: Pixels, given: np.ndarray) -> np.ndarray:
        made = []
        for box in given:
            near = [each for each in boxes(picture, (RED, BROWN, PALE, AWAY)) if np.abs(each - box).max() < 0.8 * SIDE]
            x0, y0, x1, y1 = min(near, key=lambda each: np.abs(each - box).sum()) if near else box
            made.append(MOULD * [x1 - x0, y1 - y0] + [x0, y0])
        return np.array(made)


def _mould() -> np.ndarray:
    points = face_points((0.0, 0.0), 1.0)
    return (points - points.min(axis=0)) / np.ptp(points, axis=0)


MOULD = _mould()


def embed(crops: Pixels) -> np.ndarray:
    """The colour of a crop's middle, as a unit vector around grey; the grey ground looks like nobody."""
    middle = crops[:, 56:72, 56:72].astype(float).mean(axis=(1, 2))
    grey = np.ptp(middle, axis=1, keepdims=True) < 1
    looks = np.where(grey, (0.0, 0, 0, 1), np.pad(middle - 130.0, ((0, 0), (0, 1))))
    return looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-6)


def shows_block(square: Pixels) -> bool:
    return bool(np.ptp(square[len(square) // 2, len(square) // 2].astype(int)) > 0)  # the ground is grey


def colour_at(picture: Pixels, points: np.ndarray) -> tuple[int, ...]:
    column, row = points.mean(axis=0).astype(int)
    return tuple(picture[row, column].tolist())


def are_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are detected as faces, with a score of 1."""
    for name in ("detect_faces", "detect_weak"):
        monkeypatch.setattr(alignment, name, lambda picture, *least: (boxes(picture), np.ones(len(boxes(picture)))))
    monkeypatch.setattr("latentface.faces.presence.shows_face", shows_block)
