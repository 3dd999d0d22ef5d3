"""Photographs of people and the same people driven by the head: pairs whose change of expression is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentface.arrays import Float32Array
from latentface.errors import InputError
from latentface.training.data import load_shards
from latentface.training.portraits import Portraits, as_batch, pictures_of

NUMBERS = ("landmarks", "coefficients", "source_coefficients", "pose", "source_pose", "light")
KEYS = ("images", "name", *NUMBERS)
POSE_UNIT = 20.0  # degrees that count as much as a whole expression shape


@dataclass(frozen=True, eq=False)
class RiggedPairs:
    """Driven pictures, the photograph that each was made of, and what changed.

    Attributes:
        faces: the photographs.
        source: which of them each was made of, int64 [n].
        images: uint8 [n, 3, S, S].
        features: maps of eyes and mouth, uint8 [n, 1, 32, 32].
        change: of the ARKit coefficients, of yaw, pitch and roll in 20 degrees, and of the light, float32 [n, P].
    """

    faces: Portraits
    source: Tensor
    images: Tensor
    features: Tensor
    change: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def controls(self) -> int:
        """P, how many numbers say what changed."""
        return int(self.change.shape[1])

    def sample(
        self, count: int, random: np.random.Generator
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor]:
        """Photographs and driven pictures, each as `Portraits.batch` gives them, and the changes [count, P]."""
        chosen = torch.from_numpy(random.integers(len(self), size=count)).to(self.images.device)
        still = torch.zeros(count, dtype=torch.bool)
        source = self.source[chosen]
        before = as_batch(self.faces.images[source], self.faces.features[source], still)
        return before, as_batch(self.images[chosen], self.features[chosen], still), self.change[chosen]

    def to(self, device: torch.device) -> RiggedPairs:
        """The same on another device, the photographs excepted."""
        moved = {name: getattr(self, name).to(device) for name in ("source", "images", "features", "change")}
        return replace(self, **moved)


def load_rigged(folder: Path, faces: Portraits) -> RiggedPairs:
    """The shards of `latentface.synthface.portraits` that were made of these photographs.

    Raises:
        InputError: no shard, one that lacks a key, or none of these people.
    """
    shards = load_shards(folder, KEYS)
    number = {name: k for k, name in enumerate(faces.names)}
    source = np.array([number.get(str(name), -1) for name in shards["name"]])
    known = source >= 0  # held-out people are driven too, and not trained on
    if not known.any():
        raise InputError(f"{folder}: none of its pictures was made of the photographs to train on")
    values: dict[str, Float32Array] = {name: shards[name].astype(np.float32) for name in NUMBERS}
    change = np.concatenate(
        [
            values["coefficients"] - values["source_coefficients"],
            (values["pose"] - values["source_pose"]) / POSE_UNIT,
            values["light"],
        ],
        axis=1,
    )
    images, features = pictures_of(shards["images"][known].astype(np.uint8, copy=False), values["landmarks"][known])
    return RiggedPairs(faces, torch.from_numpy(source[known]), images, features, torch.from_numpy(change[known]))
