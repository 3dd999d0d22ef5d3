"""Fitted heads, and a shard of pictures of them in other states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from tests.helpers.driving_heads import landmarks
from tests.helpers.head_picture import model

SIDE = 256


def fits(count: int) -> dict[str, HeadFit]:
    """Heads of `count` people in pictures of 256 pixels."""
    own = fit_head(model(), landmarks() * 0.8 + (8.0, -10.0))
    return {f"person{k}.jpg": own.with_pose(4.0 * k, 2.0, -1.0 * k) for k in range(count)}


def write_photos(folder: Path, count: int, seed: int = 0) -> dict[str, Path]:
    """A picture of noise for each."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for k in range(count):
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(folder / f"person{k}.png")
    return {f"person{k}.jpg": folder / f"person{k}.png" for k in range(count)}


def changed(fit: HeadFit, k: int) -> HeadFit:
    """The head with an open jaw, turned, and a little larger."""
    other = fit.with_expression(jawOpen=0.3 + 0.1 * k).with_pose(8.0, -3.0, 2.0, relative=True)
    return replace(other, scale=1.03 * other.scale)


def write_rigged(folder: Path, count: int, each: int = 2) -> Path:
    """A shard with `each` changed heads of every person; the last picture has another light."""
    folder.mkdir(parents=True)
    made = [(name, changed(fit, k)) for name, fit in fits(count).items() for k in range(each)]
    light = np.zeros((len(made), 4), np.float32)
    light[-1] = 0.3
    np.savez(
        folder / "shard-00000.npz",
        images=np.random.default_rng(1).integers(0, 256, (len(made), SIDE, SIDE, 3), np.uint8),
        name=np.array([name for name, _ in made]),
        landmarks=np.stack([fit.landmarks(model()) for _, fit in made]).astype(np.float32),
        coefficients=np.stack([fit.expression for _, fit in made]).astype(np.float32),
        pose=np.array([fit.pose for _, fit in made], np.float32),
        light=light,
    )
    return folder
