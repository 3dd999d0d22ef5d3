"""Photographs of people and the same people driven by the head: pairs whose change of expression is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentface.training.portraits import Portraits


@dataclass(frozen=True, eq=False)
class RiggedPairs:
    controls: int


def load_rigged(folder: Path, faces: Portraits) -> RiggedPairs:
    raise NotImplementedError
