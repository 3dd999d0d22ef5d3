"""Simple drawn faces with their 68 landmarks, and shards of them as the renderer writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor


def mean_shape() -> np.ndarray:
    """68 points of a plain face: eye centres at (-0.5, 0) and (0.5, 0), y down."""
    points = np.zeros((68, 2))
    turn = np.linspace(0, np.pi, 17)
    points[:17] = np.stack([-1.15 * np.cos(turn), 0.1 + 1.55 * np.sin(turn)], axis=1)
    part = np.linspace(0, 1, 5)
    arch = -0.35 - 0.12 * np.sin(np.pi * part)
    points[17:22] = np.stack([-0.9 + 0.65 * part, arch], axis=1)
    points[22:27] = np.stack([0.25 + 0.65 * part, arch], axis=1)
    points[27:31, 1] = np.linspace(0, 0.5, 4)
    points[31:36] = np.stack([np.linspace(-0.25, 0.25, 5), np.full(5, 0.65)], axis=1)
    eye = np.array([[-0.22, 0], [-0.08, -0.09], [0.08, -0.09], [0.22, 0], [0.08, 0.09], [-0.08, 0.09]])
    points[36:42], points[42:48] = eye - np.array([0.5, 0]), eye + np.array([0.5, 0])
    for start, count, width, height in ((48, 12, 0.4, 0.18), (60, 8, 0.3, 0.07)):
        angle = np.pi - np.arange(count) * 2 * np.pi / count
        points[start : start + count] = np.stack([width * np.cos(angle), 1 - height * np.sin(angle)], axis=1)
    return points


def draw_face(rng: np.random.Generator, brow_drop: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A picture uint8 [128, 128, 3] and its points [68, 2]; brows are drawn `brow_drop` pixels below their points."""
    angle = rng.normal(0, 0.05)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (mean_shape() * (1 + rng.normal(0, 0.04, 2))) @ turn.T * 32 + rng.normal([63.5, 58], 1.5)
    picture = Image.new("RGB", (128, 128), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    skin = tuple(rng.integers(130, 240, 3).tolist())

    def polygon(part: slice, colour: tuple[int, ...]) -> None:
        draw.polygon([tuple(p) for p in points[part]], fill=colour)

    polygon(slice(0, 17), skin)
    draw.ellipse([points[0, 0], points[0, 1] - 45, points[16, 0], points[16, 1] + 40], fill=skin)
    for brow in (slice(17, 22), slice(22, 27)):
        draw.line([(x, y + brow_drop) for x, y in points[brow]], fill=(30, 20, 10), width=3)
    polygon(slice(36, 42), (250, 250, 250))
    polygon(slice(42, 48), (250, 250, 250))
    draw.line([tuple(p) for p in points[31:36]], fill=(90, 50, 40), width=2)
    polygon(slice(48, 60), (190, 60, 60))
    polygon(slice(60, 68), (90, 20, 20))
    return np.asarray(picture), points


def write_shards(
    folder: Path, count: int = 40, shards: int = 2, seed: int = 0, with_mask: bool = True, side: int = 128
) -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for index in range(shards):
        faces = [draw_face(rng) for _ in range(count // shards)]
        arrays = {
            "images": np.stack([np.asarray(Image.fromarray(f[0]).resize((side, side))) for f in faces]),
            "landmarks": np.stack([(f[1] + 0.5) * (side / 128) - 0.5 for f in faces]).astype(np.float32),
            "emotion": np.zeros(len(faces), np.int64),
        }
        if with_mask:
            arrays["mask"] = np.full((len(faces), side, side), 255, np.uint8)
        np.savez(folder / f"shard-{index:05d}.npz", **arrays)
    return folder


def drawn(count: int, brow_drop: float = 0.0) -> tuple[Tensor, Tensor]:
    """Faces uint8 [N, 3, 128, 128] and their points [N, 68, 2]."""
    rng = np.random.default_rng(0)
    faces = [draw_face(rng, brow_drop) for _ in range(count)]
    images = torch.from_numpy(np.stack([f[0] for f in faces]).transpose(0, 3, 1, 2).copy())
    return images, torch.from_numpy(np.stack([f[1] for f in faces]).astype(np.float32))


def spots(points: Tensor, size: int = 128) -> Tensor:
    """Pictures with three bright spots, one a colour, at landmarks 30, 48 and 54."""
    x, y = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy")
    pictures = torch.zeros(len(points), 3, size, size)
    for channel, index in enumerate((30, 48, 54)):
        gap = (x - points[:, index, 0, None, None]) ** 2 + (y - points[:, index, 1, None, None]) ** 2
        pictures[:, channel] = torch.exp(-gap / 8.0)
    return pictures


def centres(pictures: Tensor) -> Tensor:
    """Centre of brightness [N, 3, 2] of each channel, in crop units."""
    size = pictures.shape[-1]
    line = (torch.arange(size) + 0.5) / size
    total = pictures.sum((2, 3))
    return torch.stack([(pictures.sum(2) * line).sum(2) / total, (pictures.sum(3) * line).sum(2) / total], dim=2)
