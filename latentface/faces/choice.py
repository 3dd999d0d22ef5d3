"""Rules that tell which face of a photo is meant: by its place, or by a picture of the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latentface.arrays import FloatArray, Pixels
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop, largest_face

PLACES = ("largest", "left", "middle", "right")
ALIKE = 0.5  # cosine of identity embeddings from which on a face may be that of a picture


@dataclass(frozen=True)
class Place:
    """The largest face, or the one that is farthest left, in the middle, or farthest right in the picture.

    Raises:
        UsageError: it is none of `PLACES`.
    """

    where: str

    def __post_init__(self) -> None:
        if self.where not in PLACES:
            raise UsageError(f"there is no {self.where!r} face; expected one of {', '.join(PLACES)}")

    def __call__(self, crops: Sequence[FaceCrop]) -> int:
        """The number of the face, from 1."""
        if self.where == "largest":
            return largest_face(crops)
        order = np.argsort([crop.landmarks[:, 0].mean() for crop in crops], kind="stable")
        rank = {"left": 0, "middle": (len(crops) - 1) // 2, "right": len(crops) - 1}[self.where]
        return int(order[rank]) + 1

    def __str__(self) -> str:
        return self.where


@dataclass(frozen=True, eq=False)
class Likeness:
    """The face of the person whose picture is given.

    Attributes:
        name: of the picture, for messages.
        look: the person's identity embedding, a unit vector [D].
        embed: the embeddings [N, D] of crops, uint8 RGB [N, S, S, 3].
    """

    name: str
    look: FloatArray
    embed: Callable[[Pixels], FloatArray]

    def __call__(self, crops: Sequence[FaceCrop]) -> int:
        """The number of the face that is most alike, from 1; InputError if none is alike enough."""
        likeness = np.concatenate([self.embed(crop.image[None]) for crop in crops]) @ self.look
        best = int(likeness.argmax())
        if likeness[best] < ALIKE:
            raise InputError(
                f"none of its {len(crops)} faces is that of {self.name}: the most alike has a cosine of "
                f"{likeness[best]:.2f}, expected {ALIKE} or more"
            )
        return best + 1

    def __str__(self) -> str:
        return self.name
