"""Rendered faces from disk to batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from latentface.errors import InputError

KEYS = ("images", "landmarks", "mask", "emotion")


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


def image_batch(images: NDArray[np.generic], chosen: NDArray[np.int64], resolution: int) -> torch.Tensor:
    """Pictures `chosen` of uint8 [n, S, S, 3] as float32 [N, 3, R, R] in [-1, 1], area-averaged down to `resolution`.

    This is the training loop's own hot path for whole batches; single photos go through `latentface.images`.
    """
    batch = torch.from_numpy(np.ascontiguousarray(images[chosen])).permute(0, 3, 1, 2).float() / 127.5 - 1
    factor = batch.shape[-1] // resolution
    return F.avg_pool2d(batch, factor) if factor > 1 else batch
