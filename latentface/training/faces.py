"""Rendered faces with their ground truth, as used by the recipes of all networks that analyse faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from latentface.errors import InputError


@dataclass(frozen=True, eq=False)
class FaceData:
    """Rendered faces and their ground truth.

    Attributes:
        images: uint8 [M, 3, H, H].
        points: float32 [M, 68, 2], landmarks in pixels of the images.
        masks: uint8 [M, 1, H, H], 255 on the head, or None.
        labels: further labels by name, [M] each.
    """

    images: torch.Tensor
    points: torch.Tensor
    masks: torch.Tensor | None = None
    labels: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, samples: torch.Tensor | slice) -> FaceData:
        """Some of the samples: indices [n], or a slice."""
        masks = None if self.masks is None else self.masks[samples]
        labels = {name: values[samples] for name, values in self.labels.items()}
        return replace(self, images=self.images[samples], points=self.points[samples], masks=masks, labels=labels)

    def part(self, start: int, stop: int) -> FaceData:
        """The samples start..stop."""
        return self.chosen(slice(start, stop))

    def batch(
        self, chosen: torch.Tensor, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """What `landmark_augmentation.augment` takes: images uint8, points, masks in 0..1 of the samples `chosen`."""
        masks = None if self.masks is None else self.masks[chosen].to(device).float() / 255.0
        return self.images[chosen].to(device), self.points[chosen].to(device), masks

    def crops(self, chosen: torch.Tensor, device: torch.device) -> torch.Tensor:
        """The pictures `chosen` as they are: float32 [N, 3, H, H] in [-1, 1]."""
        return self.images[chosen].to(device).float() / 127.5 - 1


def load_faces(folders: Sequence[Path], labels: Sequence[str] = ()) -> FaceData:
    """All shards of the folders, in order: images [n, H, H, 3], landmarks [n, 68, 2], mask [n, H, H] if in all.

    Raises InputError for a folder without shards, or a shard that lacks images, landmarks or one of the labels.
    """
    paths = []
    for folder in folders:
        found = sorted(folder.glob("shard-*.npz"))
        if not found:
            raise InputError(f"{folder}: no shard-*.npz files; render some with latentface.synthface first")
        paths += found
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in ("images", "landmarks", "mask", *labels)}
    for path in paths:
        with np.load(path) as shard:
            wanted = {"images", "landmarks", *labels}
            if not wanted <= set(shard.files):
                raise InputError(
                    f"{path}: expected the arrays {', '.join(sorted(wanted))}, got {', '.join(shard.files)}"
                )
            for name in wanted | ({"mask"} & set(shard.files)):
                parts[name].append(torch.from_numpy(shard[name]))
    return FaceData(
        torch.cat(parts["images"]).permute(0, 3, 1, 2).contiguous(),
        torch.cat(parts["landmarks"]).float(),
        torch.cat(parts["mask"])[:, None] if len(parts["mask"]) == len(paths) else None,
        {name: torch.cat(parts[name]) for name in labels},
    )


def join(parts: Sequence[FaceData]) -> FaceData:
    """Several sets of pictures of one size as one, with the masks and labels that all have."""
    masks = [part.masks for part in parts if part.masks is not None]
    common = set.intersection(*(set(part.labels) for part in parts))
    return FaceData(
        torch.cat([part.images for part in parts]),
        torch.cat([part.points for part in parts]),
        torch.cat(masks) if len(masks) == len(parts) else None,
        {name: torch.cat([part.labels[name] for part in parts]) for name in common},
    )
