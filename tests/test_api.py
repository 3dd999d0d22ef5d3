"""The public verbs on a photo: what joins algorithms and networks that are tested elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

import latentface as lf
from latentface.faces.crop import FaceCrop, inter_ocular


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return lf.read_image("examples/astronaut.jpg")


@pytest.fixture(scope="module")
def crop(photo: np.ndarray) -> FaceCrop:
    return lf.align(photo)[0]


@pytest.fixture(scope="module")
def fit(photo: np.ndarray, crop: FaceCrop) -> lf.HeadFit:
    return lf.fit_head(crop, photo)


def test_a_head_is_fitted_to_a_smiling_face(crop: FaceCrop, fit: lf.HeadFit) -> None:
    weights = fit.coefficients()
    assert min(weights["mouthSmileLeft"], weights["mouthSmileRight"]) > 0.35
    assert max(weights[n] for n in ("mouthFrownLeft", "mouthPucker", "browDownLeft", "eyeBlinkLeft")) < 0.25
    missed = np.linalg.norm(fit.residual, axis=1)[17:].mean()
    assert missed < 0.025 * inter_ocular(crop.landmarks)
    assert abs(fit.yaw) < 25 and abs(fit.roll) < 20 and fit.confidence > 0.7 and fit.light is None


def test_the_crop_alone_gives_about_the_same_head_in_the_photo(crop: FaceCrop, fit: lf.HeadFit) -> None:
    other = lf.fit_head(crop)
    assert other.pose == pytest.approx(fit.pose, abs=1.5) and other.scale == pytest.approx(fit.scale, rel=0.03)
    assert np.abs(other.translation - fit.translation).max() < 0.05 * inter_ocular(crop.landmarks)
    names = [k for k, name in enumerate(fit.expression_names) if not name.startswith("eyeLook")]
    assert np.abs(other.expression - fit.expression)[names].mean() < 0.02


def test_the_light_is_fitted_when_asked_for(photo: np.ndarray, crop: FaceCrop, fit: lf.HeadFit) -> None:
    lit = lf.fit_head(crop, lf.Photo(photo), light=True)
    assert lit.light is not None and lit.light.shape == (9, 3)
    assert 0.1 < float(0.282095 * lit.light[0].mean()) < 1.0
    assert np.array_equal(lit.expression, fit.expression)
    with pytest.raises(lf.UsageError, match="photo"):
        lf.fit_head(crop, light=True)
