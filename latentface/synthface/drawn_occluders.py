"""Objects in front of faces, drawn with their masks: microphones, phones, cups, cloths, strands of hair.

A picture is float32 [S, S, 4]: colour and coverage (alpha), both 0 to 1. Its coordinates reach from -1 to 1, x to the
right and y downwards; the part that covers the face lies in the middle, and its support (a handle, a hem) below.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from latentface.arrays import Float32Array, FloatArray, Pixels
from latentface.synthface.hands import lit

KINDS = ("microphone", "phone", "cup", "cloth", "strands", "blob")


def render_occluder(kind: str, size: int, rng: np.random.Generator, texture: Pixels) -> Float32Array:
    """Render an object of one of `KINDS` with a random shape, colour and light, [size, size, 4].

    Args:
        kind: one of `KINDS`.
        size: pixels of a side.
        rng: source of all randomness.
        texture: a photograph [H, W, 3]; cloths and blobs sometimes take their colours from it.
    """
    fine = 2 * size
    steps = (np.arange(fine, dtype=np.float32) + 0.5) * 2 / fine - 1
    x, y = np.meshgrid(steps, steps)
    colours, covered = _KINDS[kind](x, y, rng, texture)
    made = np.concatenate([colours * covered[..., None], covered[..., None]], axis=2)
    small: Float32Array = made.reshape(size, 2, size, 2, 4).mean((1, 3)).astype(np.float32)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    return small.clip(0, 1)


Layer = tuple[FloatArray, FloatArray]


def _microphone(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> Layer:
    """A ball of wire or foam on a tapered handle."""
    radius = rng.uniform(0.14, 0.3)
    ball = np.hypot(x, y / rng.uniform(1.0, 1.35)) / radius
    facing = _ball(x / radius, y / radius)
    waves = np.sin(x * rng.uniform(60, 140)) * np.sin(y * rng.uniform(60, 140))
    grain = rng.normal(0, 0.12, x.shape) if rng.random() < 0.5 else 0.3 * waves
    head = lit(_plain(x, rng) * (1 + grain[..., None]).clip(0.2, 2), facing, rng, 0.4)
    thick = radius * rng.uniform(0.35, 0.75) * (1 - 0.25 * (y - radius).clip(0))
    body = lit(_plain(x, rng), _tube(x / thick), rng, 0.8)
    covered = _below((np.abs(x) - thick) * (y > 0) + (y <= 0), y)
    collar = np.abs(y - radius * 0.9) < radius * 0.12
    covered = np.maximum(covered, (collar & (np.abs(x) < radius * 0.8)).astype(np.float32))
    colours = np.where((ball < 1)[..., None] & ~collar[..., None], head, body)
    return colours ** (1 / 2.2), np.maximum(covered, (ball < 1).astype(np.float32))


def _phone(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> Layer:
    """A slab with round corners, seen at an angle, with lenses in one of its corners or a bright screen."""
    wide, tall, corner = rng.uniform(0.3, 0.4), rng.uniform(0.62, 0.75), rng.uniform(0.03, 0.09)
    lean = 1 + rng.uniform(-0.15, 0.15) * y + rng.uniform(-0.15, 0.15) * x
    u, v = x * lean / rng.uniform(0.6, 1.0), y * lean
    away = np.hypot((np.abs(u) - wide + corner).clip(0), (np.abs(v) - tall + corner).clip(0)) - corner
    colours = _plain(x, rng) * (1 + 0.4 * rng.uniform(-1, 1) * u + 0.4 * rng.uniform(-1, 1) * v)[..., None]
    if rng.random() < 0.3:
        colours = np.where((away < -0.04)[..., None], _from_photo(texture, x.shape[0], rng), colours)
    else:
        for k in range(rng.integers(1, 4)):
            far = np.hypot(u + wide - 0.12, v + tall - 0.12 - 0.15 * k)
            colours = np.where((far < 0.06)[..., None], 0.02 + 0.3 * (far[..., None] < 0.012), colours)
    streak = np.clip(1 - np.abs(u + v * rng.uniform(-1, 1) - rng.uniform(-0.5, 0.5)) / rng.uniform(0.05, 0.4), 0, 1)
    edge = np.abs(away + 0.015) < 0.015
    colours = colours + rng.uniform(0, 0.3) * streak[..., None] + rng.uniform(0, 0.3) * edge[..., None]
    return colours.clip(0, 1) ** (1 / 2.2), (away < 0).astype(np.float32)


def _cup(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> Layer:
    """A cup, mug or glass: a cone with a rim that is seen from above, and a handle now and then."""
    wide, tall, taper = rng.uniform(0.25, 0.42), rng.uniform(0.3, 0.6), rng.uniform(-0.05, 0.35)
    flat = rng.uniform(0.05, 0.35)
    half = wide * (1 - taper * (y + tall) / (2 * tall))
    sag = flat * half * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    body = (np.abs(x) < half) & (y > -tall) & (y < tall + sag)
    rim = np.hypot(x / wide, (y + tall) / (flat * wide)) < 1
    albedo = _patterned(x, y, rng, texture)
    colours = lit(albedo, _tube(x / half), rng, 0.5)
    colours = np.where(rim[..., None], lit(_plain(x, rng), _tube(-x / wide), rng), colours)
    covered = body | rim
    if rng.random() < 0.4:
        ring = np.hypot((x - rng.choice([-1, 1]) * wide) / 0.8, y) - tall * 0.5
        handle = (np.abs(ring) < rng.uniform(0.03, 0.07)) & ~covered
        covered = covered | handle
    return colours.clip(0, 1) ** (1 / 2.2), covered.astype(np.float32)


def _cloth(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> Layer:
    """A piece of cloth with folds: a scarf or a towel over the lower half, its upper edge wavy."""
    edge = 0.2 * _noise(x.shape[0], rng.uniform(0.5, 1.5), rng) + rng.uniform(-0.3, 0.3) * x
    covered = _below(edge - y - 0.1 + 4 * (np.abs(x) > rng.uniform(0.6, 1.1)), y)
    phase = x * rng.uniform(3, 12) + y * rng.uniform(-12, 12) + 2 * _noise(x.shape[0], 0.7, rng)
    height = rng.uniform(0.02, 0.12) * np.sin(phase) + 0.01 * _noise(x.shape[0], 0.2, rng)
    return lit(_patterned(x, y, rng, texture), _bumps(height), rng) ** (1 / 2.2), covered


def _strands(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> Layer:
    """Locks of hair that hang down, of many hairs each."""
    colour = (
        np.array([0.3, 0.18, 0.1]) * rng.choice([0.1, 0.3, 1.0]) * rng.uniform(0.5, 1.5) * (1 + rng.normal(0, 0.1, 3))
    )
    if rng.random() < 0.2:
        colour = np.array([0.6, 0.5, 0.35]) * rng.uniform(0.4, 1.3)
    covered, shade = np.zeros_like(x), np.ones_like(x)
    curl, turns = rng.uniform(0.0, 0.12), rng.uniform(1, 5)
    for _ in range(rng.integers(1, 5)):
        root, lean, bow = rng.uniform(-0.5, 0.5), rng.normal(0, 0.35), rng.normal(0, 0.25)
        low, wide = rng.uniform(0.1, 0.95), rng.uniform(0.04, 0.16)
        line = root + lean * y + bow * y**2 + curl * np.sin(turns * y + root * 9)
        for _ in range(int(wide * 220) + 2):
            offset, thick = rng.normal(0, wide / 2), rng.uniform(0.006, 0.016)
            path = (
                line + offset * (1 - 0.6 * np.clip((y + 0.5) / (low + 0.5), 0, 1)) + 0.02 * np.sin(3 * y + offset * 90)
            )
            end = low + rng.normal(0, 0.08)
            hair = np.clip((thick * np.clip((end - y) * 4, 0, 1) - np.abs(x - path)) * x.shape[0] / 2 + 0.5, 0, 1)
            shade = np.where(
                hair > 0.5, rng.uniform(0.6, 1.3) * (1 + rng.uniform(0, 0.5) * np.sin(4 * y + root)), shade
            )
            covered = np.maximum(covered, hair)
    return np.clip(colour * shade[..., None], 0, 1) ** (1 / 2.2), covered


def _blob(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> Layer:
    """Anything else: a round or bent shape of one colour, a pattern or a photograph's texture."""
    wide, tall = rng.uniform(0.15, 0.55, 2)
    power = rng.choice([2.0, 2.0, 4.0, 9.0])
    away = (np.abs(x / wide) ** power + np.abs(y / tall) ** power) ** (1 / power) - 1
    away = away + rng.uniform(0, 0.3) * _noise(x.shape[0], rng.uniform(0.25, 0.8), rng)
    facing = _bumps(-0.3 * np.clip(away, -1, 0.5)) if rng.random() < 0.7 else _ball(x / 2, y / 2)
    colours = lit(_patterned(x, y, rng, texture), facing, rng, rng.choice([0.0, 0.6]))
    return colours ** (1 / 2.2), (away < 0).astype(np.float32)


_KINDS: dict[str, Callable[[FloatArray, FloatArray, np.random.Generator, Pixels], Layer]] = {
    "microphone": _microphone,
    "phone": _phone,
    "cup": _cup,
    "cloth": _cloth,
    "strands": _strands,
    "blob": _blob,
}


def _plain(like: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One linear colour, [H, W, 3]: black, grey, white or any."""
    kind = rng.random()
    colour = np.full(3, rng.uniform(0.01, 0.06) if kind < 0.3 else rng.uniform(0.05, 0.9))
    if kind > 0.5:
        colour = rng.uniform(0.02, 0.9, 3)
    made: FloatArray = np.broadcast_to(colour, (*like.shape, 3))
    return made


def _patterned(x: FloatArray, y: FloatArray, rng: np.random.Generator, texture: Pixels) -> FloatArray:
    """A linear albedo [H, W, 3]: plain, striped, chequered, or out of a photograph."""
    kind = rng.random()
    if kind < 0.25:
        return _from_photo(texture, x.shape[0], rng)
    base = _plain(x, rng)
    if kind < 0.6:
        return base
    angle, often = rng.uniform(0, 3.2), rng.uniform(8, 50)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    share = np.sin(u * often) > rng.uniform(-0.6, 0.6)
    if kind > 0.8:
        share = share ^ (np.sin(v * often) > 0)
    return np.where(share[..., None], _plain(x, rng), base)


def _from_photo(texture: Pixels, size: int, rng: np.random.Generator) -> FloatArray:
    """Linear colours [size, size, 3] of a random part of a photograph."""
    height, width = texture.shape[:2]
    part = int(rng.uniform(0.1, 0.22) * min(height, width))  # beside the face: hair, clothes, walls
    top, left = rng.integers(0, height - part + 1), rng.choice([0, width - part])
    index = np.abs((np.arange(size) * 2 * part // size) - part).clip(0, part - 1)  # there and back
    made: FloatArray = (texture[top + index][:, left + index] / np.float32(255)) ** 2.2
    return made


def _below(outside: FloatArray, y: FloatArray) -> FloatArray:
    """1 where it is at most 0."""
    made: FloatArray = (outside <= 0).astype(np.float32)
    return made


def _noise(size: int, scale: float, rng: np.random.Generator) -> FloatArray:
    """Smooth noise [size, size] of deviation 1; scale: of its waves, where the picture is 2 wide."""
    cells = max(3, int(4 / scale))
    coarse = rng.normal(0, 1, (cells, cells))
    made: FloatArray = ndimage.zoom(coarse, size / cells, order=3, mode="nearest", grid_mode=True)
    return made[:size, :size] / max(float(made.std()), 1e-6)


def _bumps(height: FloatArray) -> FloatArray:
    """Unit normals [H, W, 3] of a height field over a picture that is 2 wide."""
    down, right = np.gradient(height, 2 / height.shape[0])
    return _unit(np.stack([-right, -down, np.ones_like(height)], axis=2))


def _ball(x: FloatArray, y: FloatArray) -> FloatArray:
    """Unit normals [H, W, 3] of a ball of radius 1."""
    return _unit(np.stack([x, y, np.sqrt(np.clip(1 - x * x - y * y, 0.01, 1))], axis=2))


def _tube(x: FloatArray) -> FloatArray:
    """Unit normals [H, W, 3] of an upright tube of radius 1."""
    return _ball(np.clip(x, -1, 1), np.zeros_like(x))


def _unit(vectors: FloatArray) -> FloatArray:
    made: FloatArray = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    return made
