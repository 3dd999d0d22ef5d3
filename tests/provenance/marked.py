"""A drawn face with landmarks, and networks of the mark that read what they write, for tests."""

from __future__ import annotations

import numpy as np
import torch

from latentface.arrays import Pixels
from latentface.networks.mark import MarkConfig, MarkNets
from latentface.provenance.mark import Marker


def _landmarks() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Landmarks [68, 2] of a frontal face in its FFHQ crop of 128 px."""
    angles = np.linspace(np.pi, 0, 17)
    jaw = np.stack([64 + 36 * np.cos(angles), 64 + 52 * np.sin(angles)], axis=1)
    brows = [(x, 52) for x in np.r_[np.linspace(38, 58, 5), np.linspace(70, 90, 5)]]
    nose = [(64, y) for y in np.linspace(60, 78, 4)] + [(x, 82) for x in np.linspace(58, 70, 5)]
    eyes = [(x, y) for left in (44, 72) for x, y in zip((0, 4, 8, 12, 8, 4), (61, 59, 59, 61, 63, 63), strict=True)
            for x in (left + x,)]  # fmt: skip
    mouth = [(64 + 13 * np.cos(a), 94 + 5 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)]
    inner = [(64 + 9 * np.cos(a), 94 + 2 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 8, endpoint=False)]
    return np.array([*jaw, *brows, *nose, *eyes, *mouth, *inner])


LANDMARKS = _landmarks()


def smooth_face(side: int = 200) -> Pixels:
    """A picture of smooth shades, uint8 RGB [side, side, 3]."""
    y, x = np.mgrid[:side, :side] / side
    shade = 120 + 40 * np.sin(3 * x + 1) * np.cos(2 * y)
    return np.rint(np.stack([shade + 20, shade, shade - 20], axis=-1)).astype(np.uint8)


def place(photo: Pixels, boxes: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The landmarks of the face that fills a picture, whatever the boxes are."""
    return ((LANDMARKS + 0.5) * photo.shape[0] / 128 - 0.5)[None]


def untrained() -> MarkNets:
    """Networks that were not trained: the reader correlates with the writer's carriers."""
    networks = MarkNets(MarkConfig(width=4, blocks=1)).eval().requires_grad_(False)
    networks.start(torch.Generator().manual_seed(0))
    return networks


def marker() -> Marker:
    """Such networks at a face that fills the picture."""
    return Marker(untrained(), place)
