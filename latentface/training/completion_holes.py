"""Holes to train completion with: boxes, brush strokes, and what lies over faces: spectacles, hands, half of a face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from latentface.arrays import Float32Array, Float64Array

Random = np.random.Generator
Pen = ImageDraw.ImageDraw


def sample_hole(landmarks: Float64Array, side: int, random: Random, kind: str | None = None) -> Float32Array:
    """A hole in a crop of a side in pixels, float32 [S, S] of 0 and 1, never empty.

    Args:
        landmarks: [68, 2] in pixels of the crop, where some kinds lie.
        side: of the crop.
        random: what decides.
        kind: one of `HOLES`; None takes one by their shares.
    """
    names = list(HOLES)
    if kind is None:
        shares = np.array([share for share, _ in HOLES.values()])
        kind = names[int(random.choice(len(names), p=shares / shares.sum()))]
    picture = Image.new("L", (side, side))
    HOLES[kind][1](ImageDraw.Draw(picture), landmarks, side, random)
    hole = (np.asarray(picture) > 0).astype(np.float32)
    if not hole.any():  # what was drawn lies beside the crop
        hole[side // 4 : side // 2, side // 4 : side // 2] = 1
    return hole


def _centre(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    """The box of a quarter of the crop's area in its middle."""
    pen.rectangle((side // 4, side // 4, side - side // 4 - 1, side - side // 4 - 1), fill=1)


def _boxes(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    for _ in range(int(random.integers(1, 4))):
        width, height = random.uniform(0.12, 0.5, 2) * side
        left, top = random.uniform(0, 1, 2) * (side - width, side - height)
        pen.rectangle((left, top, left + width, top + height), fill=1)


def _strokes(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    for _ in range(int(random.integers(1, 7))):
        _stroke(pen, random.uniform(0.1, 0.9, 2) * side, side, random, random.uniform(0.03, 0.14) * side)


def _scratches(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    for _ in range(int(random.integers(3, 14))):
        _stroke(pen, random.uniform(0, 1, 2) * side, side, random, random.uniform(0.008, 0.03) * side)


def _stroke(pen: Pen, at: Float64Array, side: int, random: Random, width: float) -> None:
    """A brush stroke that bends (free-form masks as of Yu et al. 2019)."""
    angle, points = random.uniform(0, 2 * np.pi), [at]
    for _ in range(int(random.integers(2, 7))):
        angle += random.uniform(-0.9, 0.9)
        points.append(points[-1] + random.uniform(0.05, 0.2) * side * np.array([np.cos(angle), np.sin(angle)]))
    path = [tuple(point) for point in points]
    pen.line(path, fill=1, width=max(1, round(width)), joint="curve")
    for x, y in path:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)


def _spectacles(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    """Rims, a bridge and temples; of sunglasses all of the lenses."""
    eyes = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    along = eyes[1] - eyes[0]
    unit = float(np.linalg.norm(along))
    down = np.array([-along[1], along[0]])
    width = max(1, round(random.uniform(0.03, 0.14) * unit))
    wide, high = random.uniform(0.36, 0.47), random.uniform(0.22, 0.4)
    power, dark = random.uniform(2, 5), random.random() < 0.3
    angles = np.linspace(0, 2 * np.pi, 40)
    c, s = np.cos(angles), np.sin(angles)
    rim = np.stack([wide * np.sign(c) * np.abs(c) ** (2 / power), high * np.sign(s) * np.abs(s) ** (2 / power)], 1)
    middle = random.uniform(-0.02, 0.1)
    for sign, eye in zip((-1, 1), eyes, strict=True):
        path = [tuple(eye + (x + 0.03 * sign) * along + (y + middle) * down) for x, y in rim]
        if dark:
            pen.polygon(path, fill=1)
        pen.line([*path, path[0]], fill=1, width=width)
        outer = eye + sign * wide * along
        pen.line([tuple(outer), tuple(outer + sign * 0.5 * along - 0.05 * down)], fill=1, width=width)
    bridge = [tuple(eyes[k] + sign * (wide - 0.05) * along) for k, sign in ((0, 1), (1, -1))]
    pen.line(bridge, fill=1, width=width)


def _hand(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    """A palm and fingers on the lower half of the face, from below or from a side."""
    unit = float(np.linalg.norm(landmarks[42:48].mean(0) - landmarks[36:42].mean(0)))
    at = landmarks[int(random.choice([4, 6, 8, 10, 12, 33, 57]))] + random.normal(0, 0.15, 2) * unit
    angle = random.uniform(0.1, 0.9) * np.pi  # where the arm comes from: below
    arm = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-arm[1], arm[0]])
    for k in range(4):
        tip = at - arm * random.uniform(0.2, 0.7) * unit + across * (k - 1.5) * 0.2 * unit
        pen.line([tuple(tip), tuple(at + across * (k - 1.5) * 0.2 * unit)], fill=1, width=round(0.22 * unit))
        pen.ellipse((*(tip - 0.11 * unit), *(tip + 0.11 * unit)), fill=1)
    pen.line([tuple(at), tuple(at + 0.9 * unit * arm)], fill=1, width=round(random.uniform(0.7, 1.0) * unit))


def _feature(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    """An eye, both eyes with their brows, the nose, or the mouth."""
    parts = (slice(36, 42), slice(42, 48), slice(17, 48), slice(27, 36), slice(48, 68), slice(17, 27))
    points = landmarks[parts[int(random.integers(len(parts)))]]
    room = random.uniform(0.03, 0.12) * side
    low, high = points.min(0) - room, points.max(0) + room
    shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
    shape((*low, *high), fill=1)


def _half(pen: Pen, landmarks: Float64Array, side: int, random: Random) -> None:
    """What lies beyond a line through the face."""
    angle = random.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(angle), np.sin(angle)])
    at = landmarks[30] + normal * random.uniform(0.0, 0.25) * side
    along = np.array([-normal[1], normal[0]]) * 2 * side
    corners = (at - along, at + along, at + along + 2 * side * normal, at - along + 2 * side * normal)
    pen.polygon([tuple(corner) for corner in corners], fill=1)


#: How often a kind of hole is taken, and what draws it.
HOLES: dict[str, tuple[float, Callable[[Pen, Float64Array, int, Random], None]]] = {
    "centre": (0.12, _centre),
    "boxes": (0.16, _boxes),
    "strokes": (0.3, _strokes),
    "scratches": (0.08, _scratches),
    "spectacles": (0.1, _spectacles),
    "hand": (0.1, _hand),
    "feature": (0.1, _feature),
    "half": (0.04, _half),
}
