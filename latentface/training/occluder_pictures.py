"""Faces with occluders whose masks are known: rendered hands and drawn objects, pasted onto photographs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.synthface.drawn_occluders import KINDS, render_occluder
from latentface.synthface.hands import Hand, render_hand

SIDE = 160  # pixels of a stored thing
HELD = ("microphone", "phone", "cup")  # what a hand may hold
SHARES = {"hand": 0.4, "microphone": 0.11, "phone": 0.09, "cup": 0.1, "cloth": 0.08, "strands": 0.15, "blob": 0.07}

Things = Mapping[str, Pixels]  # uint8 [n, SIDE, SIDE, 4] of each kind


def render_things(hand: Hand, skins: Sequence[Pixels], textures: Pixels, count: int, seed: int) -> Things:
    """Things of all kinds, three times as many hands, each with its mask: uint8 [n, SIDE, SIDE, 4] of each kind."""

    def seeded(kind: int, number: int) -> np.random.Generator:
        return np.random.default_rng([seed, kind, number])

    def stored(made: Iterable[Float32Array]) -> Pixels:
        return np.stack([np.rint(each * 255).astype(np.uint8) for each in made])

    things = {"hand": stored(render_hand(hand, skins[k % len(skins)], SIDE, seeded(0, k)) for k in range(3 * count))}
    for number, kind in enumerate(KINDS, 1):
        rows = (seeded(number, k) for k in range(count))
        things[kind] = stored(render_occluder(kind, SIDE, rng, textures[rng.integers(len(textures))]) for rng in rows)
    return things


@dataclass(frozen=True)
class Occluded:
    """A face [S, S, 3] (0 to 1) with occluders, and their coverage of each pixel, [S, S]."""

    colours: Float32Array
    mask: Float32Array


def put_in_front(
    face: Float32Array, landmarks: Float64Array, things: Things, rng: np.random.Generator, kind: str | None = None
) -> Occluded:
    """A face with something in front of it.

    Args:
        face: [S, S, 3] in 0 to 1.
        landmarks: its 68 landmarks in pixels.
        things: what there is to choose from, see `render_things`.
        rng: what is sampled from.
        kind: what it is; None for any, by `SHARES`.
    """
    kind = kind or str(rng.choice(list(SHARES), p=list(SHARES.values())))
    colours, mask = face, np.zeros(face.shape[:2], np.float32)
    for each in [kind, *(["hand"] if kind == "hand" and rng.random() < 0.15 else [])]:
        at, angle, half = _place(each, landmarks, rng)
        colours, mask = _paste(colours, mask, _tinted(each, things, face, landmarks, rng), at, angle, half, (0, 0), rng)
        if each in HELD and rng.random() < 0.5:
            holding = rng.uniform(0.1, 0.3), rng.uniform(0.3, 0.6)  # where in its picture the hand's middle lies
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            grip = at + turn @ np.array([rng.normal(0, 0.1), rng.uniform(0.35, 0.7)]) * half
            wide = _hand_half(landmarks) * rng.uniform(0.8, 1.1)
            tinted = _tinted("hand", things, face, landmarks, rng)
            colours, mask = _paste(
                colours, mask, tinted, grip, angle + rng.normal(0, 0.6), wide, (0, holding[1] - 0.4), rng
            )
    return Occluded(np.clip(colours, 0, 1).astype(np.float32), mask)


def _place(kind: str, landmarks: Float64Array, rng: np.random.Generator) -> tuple[Float64Array, float, float]:
    """Where in the face the middle of a thing comes to lie [2], its angle, and half its side in pixels."""
    size = _hand_half(landmarks)
    eyes, mouth, chin = landmarks[36:48].mean(axis=0), landmarks[48:68].mean(axis=0), landmarks[8]
    if kind == "strands":
        return (
            eyes * 0.7 + mouth * 0.3 + rng.normal(0, 0.25, 2) * size,
            rng.normal(0, 0.3),
            size * rng.uniform(0.8, 1.4),
        )
    if kind == "cloth":
        return mouth * 0.6 + chin * 0.4 + rng.normal(0, 0.2, 2) * size, rng.normal(0, 0.2), size * rng.uniform(1, 1.7)
    if kind == "hand":
        at = landmarks[rng.integers(68)] * 0.75 + landmarks[30] * 0.25
        return at + rng.normal(0, 0.1, 2) * size, rng.normal(0, 0.9), size * rng.uniform(0.75, 1.35)
    at = (mouth if rng.random() < 0.6 else landmarks[rng.integers(68)]) + rng.normal(0, 0.2, 2) * size
    return at, rng.normal(0, 0.5), size * rng.uniform(0.65, 1.5)


def _hand_half(landmarks: Float64Array) -> float:
    """Half the side in pixels of the picture of a hand as long as the face is high."""
    brows = landmarks[[19, 24]].mean(axis=0)
    return float(np.linalg.norm(landmarks[8] - brows)) * 1.3 / 1.36


def _tinted(
    kind: str, things: Things, face: Float32Array, landmarks: Float64Array, rng: np.random.Generator
) -> Float32Array:
    """One of the things [SIDE, SIDE, 4]; a hand in the face's colour more often than not."""
    made: Float32Array = things[kind][rng.integers(len(things[kind]))].astype(np.float32) / np.float32(255)
    if kind != "hand":
        return made * np.array([*(1 + rng.normal(0, 0.05, 3)), 1], np.float32)
    size = face.shape[0]
    columns, rows = landmarks[[2, 14, 30, 31, 35]].T.round().astype(int).clip(0, size - 1)
    skin = np.median(face[rows, columns], axis=0) * rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.04, 3))
    own = np.median(made[made[..., 3] > 0.9][:, :3], axis=0)
    share = rng.uniform(0.6, 1.0) if rng.random() < 0.75 else 0.0
    gain = (np.maximum(skin, 0.03) / np.maximum(own, 0.03)) ** share
    return made * np.array([*gain, 1], np.float32)


def _paste(
    colours: Float32Array,
    mask: Float32Array,
    thing: Float32Array,
    at: Float64Array,
    angle: float,
    half: float,
    middle: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Float32Array, Float32Array]:
    """A thing over a picture, with the shadow that it throws; `middle`: what of the thing lies at `at`."""
    size, (c, s) = colours.shape[0], (np.cos(angle), np.sin(angle))
    if thing[..., 3].max() <= 0:
        return colours, mask
    flip = rng.choice([-1.0, 1.0])
    steps = np.arange(size, dtype=np.float32)
    x, y = np.meshgrid((steps - at[0]) / half, (steps - at[1]) / half)
    grid = np.stack([flip * (c * x + s * y) + middle[0], c * y - s * x + middle[1]], axis=2).astype(np.float32)
    premultiplied = thing * np.concatenate([np.repeat(thing[..., 3:], 3, axis=2), np.ones_like(thing[..., 3:])], axis=2)
    picture = torch.from_numpy(np.ascontiguousarray(premultiplied.transpose(2, 0, 1)))[None]
    put = F.grid_sample(picture, torch.from_numpy(grid)[None], align_corners=False)[0].numpy().transpose(1, 2, 0)
    if rng.random() < 0.3:  # out of focus
        put = ndimage.gaussian_filter(put, (*[rng.uniform(0.3, 1.2)] * 2, 0))
    alpha = put[..., 3:]
    if rng.random() < 0.8:
        moved = ndimage.shift(alpha[..., 0], (rng.uniform(0, 0.06) * half, rng.normal(0, 0.04) * half), order=1)
        shadow = ndimage.gaussian_filter(moved, rng.uniform(0.01, 0.08) * half)
        colours = colours * (1 - rng.uniform(0.1, 0.6) * shadow[..., None])
    made = colours * (1 - alpha) + put[..., :3]
    return made.astype(np.float32), np.maximum(mask, alpha[..., 0])
