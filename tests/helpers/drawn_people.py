"""Drawn people who are told apart by skin and nose and make two expressions, as shards for the recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from latentface.networks.landmarks import LandmarkConfig, LandmarkNet

VIEWS = 3


def draw_person(rng: np.random.Generator, mouth: int, skin: tuple[int, ...], nose: int) -> np.ndarray:
    """A face of a skin and a length of nose whose mouth is a line, open or bent, somewhere on a plain ground."""
    picture = Image.new("RGB", (96, 96), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([18, 10, 78, 94], fill=skin)
    for x in (36, 60):
        draw.ellipse([x - 5, 42, x + 5, 50], fill=(20, 20, 20))
    draw.line([48, 50, 48, 50 + nose], fill=(60, 30, 20), width=4)
    if mouth == 1:
        draw.ellipse([36, 72, 60, 88], fill=(80, 10, 10))
    else:
        draw.line([34, 78, 62, 78], fill=(80, 10, 10), width=3)
    return np.asarray(picture)


def write_people(folder: Path, people: int = 40) -> Path:
    """Persons 2k and 2k + 1 share the skin and differ by the nose; emotions 0 and 1 differ by the mouth."""
    rng = np.random.default_rng(0)
    emotions = rng.integers(0, 2, people * VIEWS)
    heads = np.repeat(np.arange(people), VIEWS)
    skins = rng.integers(90, 250, (people // 2, 3))
    faces = [
        draw_person(rng, mouth, tuple(skins[head // 2].tolist()), 4 + 16 * (head % 2))
        for mouth, head in zip(emotions, heads, strict=True)
    ]
    points = np.full((len(faces), 68, 2), 48.0, np.float32)
    points[:, 36:42], points[:, 42:48] = (36, 46), (60, 46)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "shard-00000.npz", images=np.stack(faces), landmarks=points, emotion=emotions, head=heads)
    return folder


def landmark_network() -> LandmarkNet:
    """A small landmark network that nothing has been taught."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LandmarkNet(LandmarkConfig(input_size=32, widths=(8, 16, 16, 16), decoder=8)).eval()
