"""Draws spectacles of many shapes on pictures of faces, together with exact masks of frames and lenses.

A patch of a face reaches from one temple to the other. Coordinates in it are inter-ocular distances from the middle
between the eyes: u to the right of the picture, v upwards. Lenses are superellipses |x / a|^n + |y / b|^n = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from latentface.arrays import Float32Array, FloatArray


@dataclass(frozen=True, eq=False)
class Worn:
    """A patch with spectacles: colours [H, W, 3] in 0 to 1, and coverage by frame and by glass, [H, W] each."""

    colours: Float32Array
    frame: Float32Array
    glass: Float32Array


def put_on(patch: Float32Array, step: float, high: float, rng: np.random.Generator) -> Worn:
    """Draw random spectacles on a patch [H, W, 3] (0 to 1) of a face.

    Args:
        patch: the face from temple to temple.
        step: width of a pixel in inter-ocular distances.
        high: height of the patch above the eyes, in inter-ocular distances.
        rng: source of shapes, colours and light.
    """
    height, width = patch.shape[:2]
    across = (np.arange(width, dtype=np.float32) + 0.5) * step - width * step / 2
    up = high - (np.arange(height, dtype=np.float32) + 0.5) * step
    u, v = np.meshgrid(across, up)
    u, v = _tilted(u, v, rng)
    shape = _Shape.drawn(rng)
    edge = np.minimum(shape.lens(u, v, -1), shape.lens(u, v, 1))  # below 0 inside of a lens
    rim = shape.rim(v)
    frame = _soft(rim - np.abs(edge + rim), step)
    frame = np.maximum(frame, np.maximum(shape.bridge(u, v, step), shape.temples(u, v, step)))
    frame = np.maximum(frame, shape.pads(u, v, step))
    glass = _soft(-edge - 2 * rim, step) * (1 - frame)
    colours = _behind_glass(patch, glass, u, v, rng)
    colours = _shadowed(colours, frame, step, rng)
    opacity = frame * shape.opacity
    colours = colours * (1 - opacity[..., None]) + opacity[..., None] * shape.paint(u, v, frame, rng)
    return Worn(np.clip(colours, 0, 1).astype(np.float32), frame.astype(np.float32), glass.astype(np.float32))


def _tilted(u: FloatArray, v: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Coordinates of spectacles that sit slightly askew on a slightly turned head."""
    angle, turn = rng.normal(0, 0.03), rng.normal(0, 0.06)
    u, v = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    return u * (1 + turn * u) + 0.15 * turn, v - rng.normal(0, 0.03)


@dataclass(frozen=True)
class _Shape:
    """A pair of spectacles; lengths are inter-ocular distances."""

    wide: float  # half a lens
    tall: float
    power: float
    apart: float  # of a lens' middle from the nose
    low: float  # how far that lies under the eyes
    cat: float  # how far the outer ends rise
    top: float  # thickness of the rim above, and below
    bottom: float
    bow: float  # height of the bridge over the lenses' middle, its arch and thickness
    arch: float
    bar: float
    double: bool  # a second bar, as aviators have it
    ear: float  # height, fall and thickness of the temples
    fall: float
    arm: float
    padded: bool
    colour: tuple[float, float, float]
    sheen: float
    opacity: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Shape:
        kind = rng.choice(4, p=(0.5, 0.2, 0.15, 0.15))  # full frames, thin wire, half a rim, no rim
        top = rng.uniform(0.014, 0.05) if kind == 0 else rng.uniform(0.005, 0.011)
        if kind == 2:
            top = rng.uniform(0.012, 0.035)
        bottom = top * rng.uniform(0.6, 1.0) if kind < 2 else 0.002
        top = 0.002 if kind == 3 else top
        metal = kind in (1, 3) or rng.random() < 0.15
        dark = rng.uniform(0.02, 0.2)
        colour = np.full(3, rng.uniform(0.25, 0.8) if metal else dark) * (1 + rng.normal(0, 0.08, 3))
        if metal and rng.random() < 0.35:
            colour = colour * (1.1, 0.9, 0.6)
        if not metal and rng.random() < 0.35:
            colour = (
                rng.uniform(0.05, 0.7, 3)
                if rng.random() < 0.5
                else np.array([0.35, 0.18, 0.08]) * rng.uniform(0.4, 1.4)
            )
        wide = rng.uniform(0.33, 0.48)
        thin = min(top, 0.02) if kind == 0 else rng.uniform(0.006, 0.014)
        return cls(
            wide=wide, tall=wide * rng.uniform(0.5, 0.95), power=rng.choice([2.0, 2.5, 3.2, 4.5, 7.0]),
            apart=max(rng.uniform(0.45, 0.56), wide + 0.06), low=rng.uniform(-0.02, 0.12),
            cat=rng.uniform(0, 0.25) if rng.random() < 0.3 else 0.0, top=top, bottom=bottom,
            bow=rng.uniform(-0.05, 0.12), arch=rng.uniform(-0.02, 0.08), bar=thin * rng.uniform(0.8, 1.4),
            double=bool(rng.random() < 0.08), ear=rng.uniform(-0.02, 0.14), fall=rng.normal(0, 0.06),
            arm=rng.uniform(0.008, 0.016) if kind else rng.uniform(0.012, 0.05), padded=bool(rng.random() < 0.5),
            colour=(float(colour[0]), float(colour[1]), float(colour[2])), sheen=rng.uniform(0, 1.0 if metal else 0.5),
            opacity=1.0 if rng.random() < 0.93 else rng.uniform(0.5, 0.9),
        )  # fmt: skip

    def lens(self, u: FloatArray, v: FloatArray, side: int) -> FloatArray:
        """Distances from a lens' outer edge, seen from its middle; less than 0 inside."""
        x = (u * side - self.apart) / self.wide
        y = (v + self.low - self.cat * np.clip(x, 0, 1.2) * (v + self.low > 0) * self.tall) / self.tall
        radius = (np.abs(x) ** self.power + np.abs(y) ** self.power) ** (1 / self.power)
        made: FloatArray = np.hypot(x * self.wide, y * self.tall) * (1 - 1 / np.maximum(radius, 0.05))
        return made

    def rim(self, v: FloatArray) -> FloatArray:
        """Half the thickness of the rim at each height."""
        share = np.clip((v + self.low) / self.tall * 0.6 + 0.5, 0, 1)
        made: FloatArray = self.bottom + (self.top - self.bottom) * share
        return made

    def bridge(self, u: FloatArray, v: FloatArray, step: float) -> FloatArray:
        inner = self.apart - self.wide + 0.02
        made = np.zeros_like(u)
        for lift in (0.0, 0.10) if self.double else (0.0,):
            line = self.bow - self.low + lift + self.arch * (1 - (u / max(inner, 0.05)) ** 2)
            made = np.maximum(made, _soft(self.bar - np.abs(v - line), step) * (np.abs(u) < inner))
        return made

    def temples(self, u: FloatArray, v: FloatArray, step: float) -> FloatArray:
        outer = self.apart + self.wide - 0.03
        line = self.ear - self.low + self.fall * (np.abs(u) - outer)
        made: FloatArray = _soft(self.arm - np.abs(v - line), step) * (np.abs(u) > outer)
        return made

    def pads(self, u: FloatArray, v: FloatArray, step: float) -> FloatArray:
        if not self.padded:
            return np.zeros_like(u)
        x, y = np.abs(u) - (self.apart - self.wide - 0.015), v + self.low + 0.06
        made: FloatArray = _soft(0.02 - np.hypot(x * 2, y * 0.6), step) * 0.8
        return made

    def paint(self, u: FloatArray, v: FloatArray, frame: FloatArray, rng: np.random.Generator) -> FloatArray:
        """The colour of the frames, [H, W, 3]: light from above, with gleams."""
        light = 1 + rng.uniform(0, 0.6) * ndimage.sobel(ndimage.gaussian_filter(frame, 1.5), axis=0)
        waves = np.sin(u * rng.uniform(3, 14) + rng.uniform(0, 6)) * np.cos(v * rng.uniform(3, 14) + rng.uniform(0, 6))
        gleam = self.sheen * np.clip(waves - rng.uniform(0.2, 0.8), 0, 1)
        made: FloatArray = np.asarray(self.colour) * light[..., None] + gleam[..., None]
        return np.clip(made, 0, 1)


def _behind_glass(
    colours: FloatArray, glass: FloatArray, u: FloatArray, v: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """The patch as seen through slightly tinted lenses with reflections."""
    if rng.random() < 0.12:  # dark glasses
        tint = rng.uniform(0.03, 0.5) * (1 + rng.normal(0, 0.1, 3))
    else:
        tint = rng.uniform(0.88, 1.02) * (1 + rng.normal(0, 0.01, 3))
    made = colours * (1 - glass[..., None] * (1 - tint))
    for _ in range(rng.integers(0, 3)):
        x, y, wide = rng.uniform(-0.9, 0.9), rng.uniform(-0.3, 0.2), rng.uniform(0.03, 0.25)
        slant = rng.uniform(-1, 1)
        away = np.maximum(np.abs(u - x + slant * (v - y)) / wide, np.abs(v - y) / rng.uniform(0.03, 0.25))
        made = made + (glass * np.clip(1.5 - away, 0, 1) * rng.uniform(0.05, 0.5))[..., None]
    return made


def _shadowed(colours: FloatArray, frame: FloatArray, step: float, rng: np.random.Generator) -> FloatArray:
    """Skin with the shadow that frames throw on it."""
    if rng.random() < 0.3:
        return colours
    shifted = ndimage.shift(frame, (rng.uniform(0.0, 0.05) / step, rng.normal(0, 0.02) / step), order=1)
    shadow = ndimage.gaussian_filter(shifted, rng.uniform(0.004, 0.02) / step)
    shaded: FloatArray = colours * (1 - rng.uniform(0.1, 0.5) * shadow[..., None])
    return shaded


def _soft(inside: FloatArray, step: float) -> FloatArray:
    """Coverage of each pixel by the region where the value is above 0: the edge is one pixel wide."""
    made: FloatArray = np.clip(inside / step + 0.5, 0, 1)
    return made
