"""The landmark network, exported and quantised once, and faces for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from latentface.arrays import Float64Array, Pixels
from latentface.faces.alignment import BuiltinLandmarks, align
from latentface.io.images import read_image
from latentface.networks.exporting import to_onnx
from latentface.pretrained import load_landmarks
from latentface.runtime.calibration import batches, views_of
from latentface.runtime.estimators import Estimator, open_estimator
from latentface.runtime.quantisation import IMAGES, to_int8

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@dataclass(frozen=True, eq=False)
class Made:
    photo: Pixels
    points: Float64Array
    estimator: Estimator
    inputs: list[Tensor]  # the views of the face and of its mirror image
    exact: bytes
    int8: bytes


@pytest.fixture(scope="package")
def made() -> Made:
    photo, estimator = read_image(PHOTO)[:340, 60:400], open_estimator("landmarks")
    (face,) = align(photo, size=16, landmarks=BuiltinLandmarks(load_landmarks()))
    views = views_of(photo, estimator.frame(face.landmarks), estimator.size)
    inputs = batches([views, np.ascontiguousarray(views[:, :, ::-1])])
    exact = to_onnx(estimator.network, inputs[0][:2], IMAGES, estimator.outputs)
    return Made(photo, face.landmarks, estimator, inputs, exact, to_int8(exact, inputs))
