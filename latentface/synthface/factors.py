"""Encodes a scene as a vector of about unit variance, for training generators and fitting directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentface.arrays import Float32Array
from latentface.synthface.library import Library
from latentface.synthface.scene import Scene

BACKDROP_CELLS = 4  # the backdrop is described by its mean over this many cells a side
FLOOR = 0.01  # added before a logarithm of a colour


@dataclass(frozen=True)
class FactorCode:
    """Turns scenes into vectors; `slices` says which entries of the vector hold which factor.

    Args:
        expression_names: the head's expression shapes, in its order.
        sizes: how many skins, hair, brow and lash there are to choose from (`Library.sizes`).
        identity_modes: length of a scene's identity.
    """

    expression_names: tuple[str, ...]
    sizes: Mapping[str, int]
    identity_modes: int = 100

    @staticmethod
    def of(library: Library) -> FactorCode:
        """The code of the scenes that a library's renderer draws."""
        head = library.head
        return FactorCode(head.expression_names, library.sizes, len(head.identity_deltas))

    def encode(self, scene: Scene) -> Float32Array:
        """The factors [length] of a scene, float32."""
        return np.concatenate([np.ravel(part) for part in self._parts(scene).values()]).astype(np.float32)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each factor lies in the vector, by name, in order."""
        at, found = 0, {}
        for name, length in self._lengths().items():
            found[name] = slice(at, at + length)
            at += length
        return found

    @property
    def length(self) -> int:
        """Entries of a vector."""
        return sum(self._lengths().values())

    def _lengths(self) -> dict[str, int]:
        choices = {kind: self.sizes[kind] + 1 for kind in ("hair", "brow", "lash", "glasses", "beard")}
        return {
            "identity": self.identity_modes, "expression": len(self.expression_names), "gaze": 2, "head": 3,
            "distance": 1, "skin": self.sizes["skin"], "skin_tone": 3, "skin_look": 4, "iris": 3, "lips": 4,
            **choices, "glasses_colour": 3, "hair_colour": 3, "hair_look": 3, "cloth": 3, "collar": 3, "ambient": 6,
            "lights": 18, "exposure": 2, "backdrop": 3 * BACKDROP_CELLS**2,
        }  # fmt: skip

    def _parts(self, s: Scene) -> dict[str, Float32Array]:
        weights = [4 * s.expression.get(name, 0.0) for name in self.expression_names]
        lights = [
            np.concatenate([3 * light.direction * light.colour.mean(), 3 * light.colour - 1]) for light in s.lights
        ]
        parts: dict[str, Sequence[float] | NDArray[np.floating]] = {
            "identity": s.identity,
            "expression": weights,
            "gaze": (s.gaze[0] / 9, s.gaze[1] / 6),
            "head": (s.yaw / 15, s.pitch / 7, s.roll / 5),
            "distance": ((np.log(s.distance) - 4.6) * 2,),
            "skin": _one_hot(s.skin, self.sizes["skin"]),
            "skin_tone": 2 * np.log(s.skin_tint) + 1,
            "skin_look": (8 * np.log(s.skin_gamma), 4 * s.shine - 2, 6 * s.blush - 0.6, 4 * s.stubble),
            "iris": np.log(s.iris) + 2.5,
            "lips": (*(4 * s.lips[:3] * s.lips[3]), 4 * s.lips[3] - 1),
            "hair": _one_hot(s.hair, self.sizes["hair"] + 1),
            "brow": _one_hot(s.brow, self.sizes["brow"] + 1),
            "lash": _one_hot(s.lash, self.sizes["lash"] + 1),
            "glasses": _one_hot(s.glasses, self.sizes["glasses"] + 1),
            "beard": _one_hot(s.beard, self.sizes["beard"] + 1),
            "glasses_colour": np.zeros(3) if s.glasses is None else np.log(s.glasses_colour + FLOOR) + 2.5,
            "hair_colour": np.log(s.hair_colour + FLOOR) + 2.5,
            "hair_look": (40 * (s.hair_scale - 1), 4 * (s.scalp - 0.8), 0.0 if s.hair is None else 1.0),
            "cloth": np.log(s.cloth + FLOOR) + 2.2,
            "collar": ((s.collar[0] + 12) / 1.5, 10 * s.collar[1] + 1.7, 15 * s.collar[2] - 0.7),
            "ambient": np.concatenate([6 * s.ambient[0] - 3, 6 * s.ambient[1] - 1.5]),
            "lights": np.concatenate(lights),
            "exposure": (6 * np.log(s.exposure), 150 * s.noise - 1),
            "backdrop": np.log(_cells(s.backdrop) + 5 * FLOOR) + 1.5,
        }
        return {name: np.asarray(part, np.float32).ravel() for name, part in parts.items()}


def _one_hot(chosen: int | None, count: int) -> Float32Array:
    """2 at the choice, 0 elsewhere; None is the last place."""
    row = np.zeros(count, np.float32)
    row[count - 1 if chosen is None else chosen] = 2
    return row


def _cells(picture: Float32Array) -> Float32Array:
    """Mean colour [cells, cells, 3] of a picture [h, w, 3]."""
    rows = np.array_split(picture, BACKDROP_CELLS, 0)
    return np.array([[cell.mean((0, 1)) for cell in np.array_split(row, BACKDROP_CELLS, 1)] for row in rows])
