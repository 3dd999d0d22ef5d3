"""The curve that a training leaves beside its network."""

from __future__ import annotations

import csv
from pathlib import Path


def read_curve(folder: Path) -> list[dict[str, float]]:
    """The rows of curves.csv, every column a number."""
    with open(folder / "curves.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
