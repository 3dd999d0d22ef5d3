"""Aligned faces with their landmarks, and batches with holes, foreign regions and guides, to train completion with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from latentface.arrays import Float64Array
from latentface.completion.guides import no_guide, region_planes
from latentface.faces.crop import MIRROR
from latentface.io.images import read_image
from latentface.training.completion_holes import sample_hole
from latentface.training.data import load_shards
from latentface.training.portraits import Portraits, held_out_names, load_portraits, read_rows

RIGGED = 0.35  # share of driven pictures among those that are seen
GUIDED = 0.35  # share of pictures whose guide is given
FOREIGN = 0.15  # share of pictures with a region whose colours are off instead of a hole


@dataclass(frozen=True, eq=False)
class CompletionFaces:
    """Pictures uint8 [n, 3, S, S], landmarks [n, 68, 2] in their pixels, and how often each is seen [n]."""

    images: Tensor
    landmarks: Float64Array
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network is shown and what it is to give back.

    Attributes:
        truth: [N, 3, S, S] in [-1, 1].
        shown: the truth, with other colours in foreign regions.
        hole: [N, 1, S, S], 1 where the picture is hidden.
        foreign: [N, 1, S, S], 1 where its colours are off.
        guide: [N, REGIONS, S / 4, S / 4], zero where none is given.
    """

    truth: Tensor
    shown: Tensor
    hole: Tensor
    foreign: Tensor
    guide: Tensor

    @property
    def changed(self) -> Tensor:
        """[N, 1, S, S], 1 where the network decides."""
        return torch.maximum(self.hole, self.foreign)


def load_completion_faces(folder: Path, rigged: Path | None) -> tuple[CompletionFaces, CompletionFaces]:
    """The faces to train on, with driven pictures of the same people, and those that are held out.

    Raises:
        InputError: no faces, or shards that lack a key.
    """
    rows = {row["name"]: row for row in read_rows(folder)}

    def with_landmarks(portraits: Portraits) -> CompletionFaces:
        points = np.array([rows[name]["landmarks"] for name in portraits.names], np.float64)
        return CompletionFaces(portraits.images, points, portraits.weights)

    training, held_out = load_portraits(folder)
    faces = with_landmarks(training)
    if rigged is not None:
        number = {name: k for k, name in enumerate(training.names)}
        shards = load_shards(rigged, ("images", "name", "landmarks"))
        source = np.array([number.get(str(name), -1) for name in shards["name"]])
        known = source >= 0  # held-out people are driven too, and not trained on
        weights = training.weights[source[known]]
        driven = torch.from_numpy(shards["images"][known].astype(np.uint8, copy=False)).permute(0, 3, 1, 2)
        faces = CompletionFaces(
            torch.cat([faces.images, driven]),
            np.concatenate([faces.landmarks, shards["landmarks"][known].astype(np.float64)]),
            np.concatenate([(1 - RIGGED) * faces.weights, RIGGED * weights / weights.sum()]),
        )
    return faces, with_landmarks(held_out)


def load_held_out(folder: Path) -> CompletionFaces:
    """The faces that are held out alone, as `load_completion_faces` gives them; raises as it does."""
    rows = read_rows(folder)
    names = held_out_names(rows)
    chosen = [row for row in rows if row["name"] in names]
    images = np.stack([read_image(folder / "crops" / row["name"]) for row in chosen])
    points = np.array([row["landmarks"] for row in chosen], np.float64)
    return CompletionFaces(torch.from_numpy(images).permute(0, 3, 1, 2), points, np.full(len(chosen), 1 / len(chosen)))


def make_batch(
    faces: CompletionFaces, chosen: Sequence[int], side: int, random: np.random.Generator, recoloured: float = FOREIGN
) -> Batch:
    """Some of the faces, half of them mirrored, at a side in pixels, each with a hole or, a share, a foreign region."""
    whole = faces.images.shape[-1]
    truth, holes, foreign, guides = [], [], [], []
    for index in chosen:
        image, points = faces.images[index], faces.landmarks[index]
        if random.random() < 0.5:
            image, points = image.flip(2), points[list(MIRROR)] * (-1, 1) + (whole - 1, 0)
        points = (points + 0.5) * (side / whole) - 0.5
        hole, strange = sample_hole(points, side, random), np.zeros((side, side), np.float32)
        if random.random() < recoloured:
            strange, hole = hole, strange
        truth.append(image)
        holes.append(hole)
        foreign.append(strange)
        guides.append(region_planes(points, side) if random.random() < GUIDED else no_guide(side))
    pictures = torch.stack(truth).float() / 127.5 - 1
    if side != whole:
        pictures = F.avg_pool2d(pictures, whole // side)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    hole_planes, foreign_planes = (torch.from_numpy(np.stack(each))[:, None] for each in (holes, foreign))
    shown = pictures.clone()
    off = foreign_planes.amax((1, 2, 3)) > 0
    if off.any():
        shown[off] = torch.lerp(pictures[off], _recoloured(pictures[off], random), foreign_planes[off])
    return Batch(pictures, shown, hole_planes, foreign_planes, torch.from_numpy(np.stack(guides)))


def _recoloured(pictures: Tensor, random: np.random.Generator) -> Tensor:
    """Pictures [N, 3, S, S] in another light: brightness, contrast, tint and saturation."""
    n = len(pictures)

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(random.uniform(low, high, (n, channels, 1, 1)).astype(np.float32))

    mean = pictures.mean((1, 2, 3), keepdim=True)
    grey = pictures.mean(1, keepdim=True)
    toned = grey + (pictures - grey) * drawn(0.5, 1.5)
    toned = mean + (toned - mean) * drawn(0.65, 1.4) * drawn(0.85, 1.15, 3) + drawn(-0.3, 0.3) + drawn(-0.15, 0.15, 3)
    return toned.clamp(-1, 1)
