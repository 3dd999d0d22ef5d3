"""Landmarks by dlib's shape predictors, from the user's own files."""

from __future__ import annotations

import bz2
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dlib
import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.errors import WeightsError

_MOST_UNPACKED = 1 << 30  # bytes; ten times the size of the largest predictor that dlib publishes


class DlibLandmarks:
    """Landmarks by a dlib shape predictor file (68 points, regression trees, Kazemi & Sullivan 2014).

    Args:
        path: a .dat file, or one compressed with bzip2 as published by dlib, which takes seconds to unpack each time.

    Raises:
        WeightsError: the file is missing, is not a shape predictor, or does not predict 68 points.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise WeightsError(f"{self.path}: no such landmark file; give a dlib 68-point shape predictor (.dat)")
        try:
            with _unpacked(self.path) as file:
                self._predictor = dlib.shape_predictor(str(file))
        except (RuntimeError, OSError, EOFError):
            raise WeightsError(
                f"{self.path}: not a dlib shape predictor; give a 68-point .dat file or a landmark network"
            ) from None
        count = self._predictor(np.zeros((8, 8, 3), np.uint8), dlib.rectangle(0, 0, 7, 7)).num_parts
        if count != 68:
            raise WeightsError(f"{self.path}: predicts {count} points, expected 68; give a 68-point shape predictor")

    def __call__(self, photo: Pixels, boxes: Float64Array) -> Float64Array:
        """Landmarks [F, 68, 2] of the faces in boxes [F, 4] of a photo, uint8 [H, W, 3]; both in photo pixels."""
        points = np.empty((len(boxes), 68, 2))
        for index, (x0, y0, x1, y1) in enumerate(np.rint(boxes).astype(int).tolist()):
            shape = self._predictor(photo, dlib.rectangle(x0, y0, x1 - 1, y1 - 1))
            points[index] = [(part.x, part.y) for part in shape.parts()]
        return points


def find_dlib68() -> Path:
    """The path of the user's copy of dlib's 68-point predictor, in the package face_recognition_models.

    The package is located, not imported. Raises WeightsError if it is not installed or lacks the file.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"
        if path.is_file():
            return path
    raise WeightsError(
        "dlib68 landmarks need the package face_recognition_models (its training data is for non-commercial use); "
        "install it, or choose the landmarks 'builtin', or give a .dat file"
    )


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary unpacked copy; OSError or EOFError if it cannot be unpacked."""
    with path.open("rb") as file:
        packed = file.read(3) == b"BZh"
    if not packed:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder, bz2.open(path) as source:
        copy = Path(folder, "predictor.dat")
        with copy.open("wb") as sink:
            while block := source.read(1 << 20):
                if sink.tell() > _MOST_UNPACKED:
                    raise OSError(f"{path} unpacks to more than {_MOST_UNPACKED} bytes")
                sink.write(block)
        yield copy
