"""Drawn open mouths whose every part is known, for the recipes of the mouth network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentface.head.teeth import UPPER_WIDTHS, tooth_borders
from latentface.networks.mouth import PLANES, MouthConfig, Plane
from latentface.training.mouth_data import MARGIN, MouthData

HEIGHT, WIDTH = 80, 96


@dataclass(frozen=True, eq=False)
class DrawnMouth:
    """image uint8 [80, 96, 3]; opening and lips with opening, bool [80, 96]; points [68, 2], most of them nowhere."""

    image: np.ndarray
    opening: np.ndarray
    lips: np.ndarray
    points: np.ndarray


def drawn_mouth(
    seed: int = 0, edge: float = 34.0, bottom: float = 44.0, midline: float = 48.0, size: float = 1.0, top: float = 26.0
) -> DrawnMouth:
    """A mouth open from `top` to `bottom`, with upper teeth down to `edge`, in noise."""
    noise = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    middle, tall = (top + bottom) / 2, (bottom - top) / 2
    opening = ((x - 48) / 30) ** 2 + ((y - middle) / tall) ** 2 < 1
    lips = ((x - 48) / 36) ** 2 + ((y - middle) / (tall + 6)) ** 2 < 1
    image = np.full((HEIGHT, WIDTH, 3), [205.0, 160.0, 140.0])
    image[lips] = [170, 75, 80]
    image[opening] = [45, 20, 20]
    borders = tooth_borders(UPPER_WIDTHS, 0.0) * size * 64 / 63 + midline
    lines = np.exp(-0.5 * ((x[..., None] - borders) / 0.9) ** 2).sum(-1).clip(0, 1)
    teeth = opening & (y < edge)
    image[teeth] = (np.array([235.0, 225, 205]) * (1 - 0.35 * lines[..., None]))[teeth]
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = [16, -30], [80, -30]
    points[33], points[30] = [48, 4], [48, -4]
    for order, wide, high in ((range(48, 60), 36, tall + 6), (range(60, 68), 30, tall)):
        turn = np.pi + np.arange(len(order)) * 2 * np.pi / len(order)
        points[list(order)] = np.stack([48 + wide * np.cos(turn), middle + high * np.sin(turn)], 1)
    image += noise.normal(0, 3, image.shape)
    return DrawnMouth(image.clip(0, 255).astype(np.uint8), opening, lips, points)


def drawn_data() -> MouthData:
    """Fourteen drawn mouths of three collections, as the recipe reads them, the upper teeth in the upper half."""
    config = MouthConfig()
    planes = np.zeros((14, PLANES, config.height + 2 * MARGIN, config.width), np.uint8)
    for i in range(14):
        mouth = drawn_mouth(i)
        planes[i, :3], planes[i, Plane.OPENING] = mouth.image.transpose(2, 0, 1), mouth.opening * 255
        planes[i, Plane.UPPER_TEETH, :34] = 255
    sources = ["pif", "vta", *["t2i"] * 6, *["vta"] * 6]
    return MouthData(
        planes, np.ones((14, 3), np.float32), sources, [str(i) for i in range(14)], np.ones(14, np.float32)
    )
