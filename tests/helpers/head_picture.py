"""A photo of a head that is known: the built-in model, seen from the front, painted as plainly as tests allow."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

import latentface
from latentface import hub
from latentface.head.drive import Driver
from latentface.head.geometry import Box, Surface
from latentface.head.model import HeadModel
from latentface.ops.raster import normals

SCALE, CENTRE = 9.0, (150.0, 165.0)  # pixels a centimetre; where the model's origin lies
HEIGHT, WIDTH = 380, 300
OPEN = {"mouthSmile": 0.6, "mouthUpperUp": 0.8, "mouthLowerDown": 0.6}  # how lips part to show teeth
FRAMES = np.array([20, 20, 22])


@functools.cache
def model() -> HeadModel:
    return HeadModel.load(Path(latentface.__file__).parent / "pretrained" / "weights" / "head.safetensors")


def place(expression: dict[str, float] | None = None, yaw: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """The mean head's vertices in the photo, turned by degrees."""
    head = model()
    made = head.vertices(None, head.expression_vector(expression or {})).astype(float)
    a, b = np.radians([yaw, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    made = made @ (about_z @ about_y).T * SCALE
    return np.stack([CENTRE[0] + made[:, 0], CENTRE[1] - made[:, 1], made[:, 2]], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Picture:
    """A photo, the head in it, and what is seen where."""

    photo: np.ndarray
    before: np.ndarray
    layer: np.ndarray

    def driver(self) -> Driver:
        return Driver(self.photo, model(), self.before, finders=hub.finders())

    def landmark(self, k: int) -> np.ndarray:
        return self.before[model().landmarks[k], :2]


@functools.cache
def picture(grey: bool = False, teeth: bool = False, spectacles: bool = False) -> Picture:
    """Skin with red lips, dark brows and lashes, white eyes with dark irises, on noise; or teeth between open lips."""
    head, before = model(), place(OPEN if teeth else None)
    surface, box = Surface.of(head), Box(0, 0, WIDTH, HEIGHT)
    seen = surface.seen(before, box)
    layer = surface.layers(seen)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 60, (HEIGHT, WIDTH)), 1.5)[..., None]
    colours = np.broadcast_to(np.array([90.0, 110, 140]), (HEIGHT, WIDTH, 3)) + noise
    red = head.regions["upper_lip"] + head.regions["lower_lip"]
    brow = head.regions["brow_left"] + head.regions["brow_right"]
    facing = normals(before, surface.skin)[:, 2]
    shown = seen.interpolate(surface.closed(np.column_stack([red, brow, facing]).astype(np.float32)))
    skin = np.array([205.0, 160, 135]) * (0.6 + 0.4 * shown[..., 2:].clip(0, 1)) + 0.15 * noise
    skin += np.clip(shown[..., :1], 0, 1) * (np.array([165.0, 70, 70]) - skin)
    skin += ramp(shown[..., 1:2], 0.6, 0.9) * (np.array([60.0, 45, 35]) - skin)
    colours = np.where(layer[..., None] == 0, skin, colours)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    for side, ring in (("left", 2), ("right", 3)):
        ball = (head.regions[f"eyeball_{side}"] > 0.5) & (head.neutral[:, 2] > 9.35)
        middle = before[ball, :2].mean(axis=0)
        opening = layer == ring
        lashes = ndimage.binary_dilation(opening, iterations=2) & ~opening & (y < middle[1] + 1)
        colours = np.where(lashes[..., None], np.array([55.0, 42, 36]), colours)
        iris = np.hypot(x - middle[0], y - middle[1]) < 5.2
        white = np.where(iris[..., None], np.array([50.0, 40, 35]), np.array([235.0, 232, 228]))
        colours = np.where(opening[..., None], white, colours)
    inside = np.array([232.0, 226, 214]) - 30 * (x % 9 == 0)[..., None] if teeth else np.array([60.0, 20, 20])
    colours = np.where(layer[..., None] == 1, inside, colours)
    if spectacles:
        colours[frames(before)] = FRAMES
    photo = np.clip(colours, 0, 255)
    if grey:
        photo = np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2)
    return Picture(np.rint(photo).astype(np.uint8), before, layer)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(float) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-10)))


def frames(before: np.ndarray) -> np.ndarray:
    """Where round spectacles lie: two rings and a bridge, [H, W]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    middles = [before[model().landmarks[list(c)], :2].mean(axis=0) for c in ((36, 39), (42, 45))]
    for middle in middles:
        mask |= np.abs(np.hypot((x - middle[0]) / 1.1, y - middle[1]) - 19) < 1.6
    row = (middles[0][1] + middles[1][1]) / 2
    return mask | ((np.abs(y - row) < 1.6) & (x > middles[0][0] + 19) & (x < middles[1][0] - 19))


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((x - low) / (high - low), 0, 1)
