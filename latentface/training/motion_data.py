"""Pairs of frames from clips: rendered ones, or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from latentface.arrays import Float32Array
from latentface.errors import InputError
from latentface.faces.crop import MIRROR

#: Landmarks that the keypoints of a guided training stand for: jaw, brows, nose, corners and lids of the eyes, outer
#: and inner lips.
GUIDES = (
    (1,), (3,), (5,), (8,), (11,), (13,), (15,),
    (17, 18), (19,), (20, 21), (22, 23), (24,), (25, 26),
    (27,), (30,), (31,), (35,),
    (36,), (37, 38), (39,), (40, 41), (42,), (43, 44), (45,), (46, 47),
    (48,), (49, 50), (51,), (52, 53), (54,), (55, 56), (57,), (58, 59), (61, 62, 63), (65, 66, 67),
)  # fmt: skip
#: Pairs of these keypoints whose distance shows an expression: upper and lower lids, brows and lids, the lips' inner
#: and outer edges, the corners of the mouth, and each of them and the upper lip.
SPANS = ((18, 20), (22, 24), (8, 18), (11, 22), (33, 34), (27, 31), (25, 29), (25, 27), (29, 27))


@dataclass(frozen=True, eq=False)
class Clips:
    """Frames of many clips; a slice of it is a `Clips` too.

    Attributes:
        pictures: uint8 [F, S, S, 3] of each clip.
        people: the name of the person in each clip.
        landmarks: [F, 68, 2] of each clip in pixels, or nothing where they are not known.
    """

    pictures: tuple[NDArray[np.uint8], ...]
    people: tuple[str, ...]
    landmarks: tuple[Float32Array, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, part: slice) -> Clips:
        return Clips(self.pictures[part], self.people[part], self.landmarks[part])


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Source and driving frames [N, 3, R, R] in [0, 1]; landmarks [N, 68, 2] of both in [-1, 1], or None."""

    source: Tensor
    driving: Tensor
    source_landmarks: Tensor | None = None
    driving_landmarks: Tensor | None = None

    def to(self, device: str) -> PairBatch:
        """The batch on another device."""
        parts = {name: part.to(device) for name, part in vars(self).items() if part is not None}
        return PairBatch(**parts)


def load_clips(*folders: str | Path) -> Clips:
    """Every shard that `synthface.clips` or `training.portrait_clips` wrote to folders, each clip of another person.

    Raises:
        InputError: a folder holds none.
    """
    pictures: list[NDArray[np.uint8]] = []
    landmarks: list[Float32Array] = []
    paths: list[Path] = []
    for folder in folders:
        found = sorted(Path(folder).glob("clips-*.npz"))
        if not found:
            raise InputError(f"{folder} holds no clips-*.npz: render some with `python -m latentface.synthface.clips`")
        paths.extend(found)
    for path in paths:
        with np.load(path, allow_pickle=False) as shard:
            pictures.extend(shard["images"])
            landmarks.extend(shard["landmarks"])
    return Clips(tuple(pictures), tuple(map(str, range(len(pictures)))), tuple(landmarks))


def sample_pairs(clips: Clips, count: int, resolution: int, rng: np.random.Generator) -> PairBatch:
    """Pairs of frames of `count` persons picked at random, at the resolution.

    Of each person one clip is picked, and two of its frames; both are mirrored, zoomed, turned and recoloured alike.
    """
    by_person: dict[str, list[int]] = {}
    for index, person in enumerate(clips.people):
        by_person.setdefault(person, []).append(index)
    names = sorted(by_person)
    frames, points = [], []
    for _ in range(count):
        clip = int(rng.choice(by_person[names[rng.integers(len(names))]]))
        chosen = rng.integers(len(clips.pictures[clip]), size=2)
        frames.append(clips.pictures[clip][chosen])
        if clips.landmarks:
            points.append(clips.landmarks[clip][chosen])
    pictures = torch.from_numpy(np.stack(frames)).permute(0, 1, 4, 2, 3).flatten(0, 1).float() / 255  # [2 N, 3, S, S]
    landmarks = None
    if points:
        side = pictures.shape[-1]
        landmarks = torch.from_numpy(np.stack(points)).float().flatten(0, 1) * 2 / (side - 1) - 1
    pictures, landmarks = _move(pictures, landmarks, resolution, rng)
    pictures = _recolour(pictures, rng)
    both = (None, None) if landmarks is None else (landmarks[::2], landmarks[1::2])
    return PairBatch(pictures[::2].contiguous(), pictures[1::2].contiguous(), *both)


def _move(
    pictures: Tensor, landmarks: Tensor | None, resolution: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor | None]:
    """Mirror half of the pairs, zoom in or out by up to a sixth, turn and shift a little; bring to the resolution."""
    count = len(pictures) // 2
    angle, zoom = rng.normal(0, 0.08, count), np.exp(rng.uniform(-0.16, 0.12, count))
    mirror = rng.random(count) < 0.5
    across, down = np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)
    turn = np.stack([across, down], 1) * zoom[:, None, None]
    turn[:, :, 0] *= np.where(mirror, -1, 1)[:, None]
    shift = rng.uniform(-1, 1, (count, 2)) * abs(1 - zoom)[:, None]
    affine = np.concatenate([turn, shift[:, :, None]], 2).astype(np.float32)
    matrix = torch.from_numpy(affine).repeat_interleave(2, 0)  # [2 N, 2, 3]
    factor = max(pictures.shape[-1] // resolution, 1)
    side = factor * resolution
    field = F.affine_grid(matrix, [len(pictures), 3, side, side], align_corners=True)
    moved = F.grid_sample(pictures, field, padding_mode="reflection", align_corners=True)
    moved = F.avg_pool2d(moved, factor) if factor > 1 else moved
    if landmarks is None:
        return moved, None
    back = torch.linalg.inv(matrix[:, :, :2])
    placed = (landmarks - matrix[:, None, :, 2]) @ back.transpose(1, 2)
    swapped = torch.from_numpy(mirror).repeat_interleave(2)[:, None, None]
    return moved, torch.where(swapped, placed[:, list(MIRROR)], placed)


def _recolour(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, white balance and saturation, the same for both frames of a pair."""
    count = len(pictures) // 2

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        values = rng.uniform(low, high, (count, *shape, 1, 1)).astype(np.float32)
        return torch.from_numpy(values).repeat_interleave(2, 0)

    grey = pictures.mean(1, keepdim=True)
    pictures = grey + (pictures - grey) * uniform(0.6, 1.3, 1)
    pictures = (pictures - 0.5) * uniform(0.75, 1.25, 1) + 0.5 + uniform(-0.12, 0.12, 1) + uniform(-0.05, 0.05, 3)
    return pictures.clamp(0, 1)


def guide_points(landmarks: Tensor) -> Tensor:
    """The places [N, len(GUIDES), 2] of GUIDES among landmarks [N, 68, 2]."""
    return torch.stack([landmarks[:, list(part)].mean(1) for part in GUIDES], dim=1)
