"""Rendered faces from disk to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from latentface.arrays import Int64Array
from latentface.errors import InputError
from latentface.faces.crop import near_features

KEYS = ("images", "landmarks", "mask", "emotion")

CELLS = 32  # side of the grid on which the weights of pixels are stored


def load_shards(
    folder: str | Path, keys: Sequence[str] = ("images",), first: int = 0, last: int | None = None
) -> dict[str, NDArray[np.generic]]:
    """The arrays of shards first..last (exclusive) of `latentface.synthface.dataset`, joined in order.

    Raises:
        InputError: no shard there, or one that lacks a key.
    """
    paths = sorted(Path(folder).glob("shard-*.npz"))[first:last]
    if not paths:
        raise InputError(f"{folder} holds no shard-*.npz: render some with `python -m latentface.synthface.dataset`")
    parts: dict[str, list[NDArray[np.generic]]] = {key: [] for key in keys}
    for path in paths:
        with np.load(path, allow_pickle=False) as shard:
            missing = [key for key in keys if key not in shard.files]
            if missing:
                raise InputError(
                    f"{path} lacks {', '.join(missing)}: render it again with latentface.synthface.dataset"
                )
            for key in keys:
                parts[key].append(shard[key])
    return {key: np.concatenate(arrays) for key, arrays in parts.items()}


def image_batch(images: NDArray[np.generic], chosen: Int64Array, resolution: int) -> torch.Tensor:
    """Pictures `chosen` of uint8 [n, S, S, 3] as float32 [N, 3, R, R] in [-1, 1], area-averaged down to `resolution`.

    This is the hot path of the training loop, for whole batches; single photos go through `latentface.io.images`.
    """
    batch = torch.from_numpy(np.ascontiguousarray(images[chosen])).permute(0, 3, 1, 2).float() / 127.5 - 1
    factor = batch.shape[-1] // resolution
    return F.avg_pool2d(batch, factor) if factor > 1 else batch


@dataclass(frozen=True, eq=False)
class Pairs:
    """Scenes and their renders; slicing gives another `Pairs`.

    Attributes:
        images: uint8 [n, S, S, 3].
        factors: [n, P], see `synthface.factors`.
        features: maps of eyes and mouth, uint8 [n, 32, 32], 255 at their landmarks.
    """

    images: NDArray[np.uint8]
    factors: torch.Tensor
    features: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Pairs:
        return Pairs(self.images[part], self.factors[part], self.features[part])

    def batch(
        self, chosen: Int64Array, resolution: int, feature_weight: float = 0.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures [N, 3, R, R] in [-1, 1] and their pixels' weights [N, 1, R, R]: 1, more at eyes and mouth."""
        images = image_batch(self.images, chosen, resolution).contiguous(memory_format=torch.channels_last)
        features = torch.from_numpy(self.features[chosen])[:, None].float() / 255
        enlarged = F.interpolate(features, size=(resolution, resolution), mode="bilinear", align_corners=False)
        return images, 1 + feature_weight * enlarged


def load_pairs(folder: str | Path) -> Pairs:
    """Every shard of a folder as `Pairs`; raises as `load_shards`."""
    shards = load_shards(folder, ("images", "factors", "landmarks"))
    images = shards["images"].astype(np.uint8, copy=False)
    landmarks = shards["landmarks"].astype(np.float32, copy=False)
    at = landmarks * (CELLS / images.shape[1]) + (CELLS / images.shape[1] - 1) / 2  # pixel centres -> cell centres
    features = np.stack([np.rint(255 * near_features(points, CELLS)).astype(np.uint8) for points in at])
    return Pairs(images, torch.from_numpy(shards["factors"].astype(np.float32, copy=False)), features)


def join(parts: Sequence[Pairs]) -> Pairs:
    """Several sets as one."""
    return Pairs(
        np.concatenate([part.images for part in parts]),
        torch.cat([part.factors for part in parts]),
        np.concatenate([part.features for part in parts]),
    )
