"""The face in a photo is translated, and what lies beyond its crop stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import latentface as lf
from latentface.editing.translation import translate_crop
from latentface.networks.translation import TranslationConfig, TranslationNet
from latentface.training.translation import save

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    with Image.open(ASTRONAUT) as picture:
        return np.asarray(picture.convert("RGB").crop((60, 0, 460, 400)))


@pytest.fixture(scope="module")
def dark() -> TranslationNet:
    """There it darkens everything, back it changes nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TranslationNet(TranslationConfig(fine=4, coarse=8, dilations=(1,))).eval().requires_grad_(False)
    network.there.leave.bias[:12] = -0.5
    network.back.leave.bias[12:] = -100
    return network


def test_the_face_changes_and_far_pixels_stay(photo: np.ndarray, dark: TranslationNet) -> None:
    made = lf.translate(photo, dark)
    assert made.photo.rgb.shape == photo.shape and made.image.shape == (128, 128, 3)
    x, y = (int(v) for v in made.crop.quad.mean(0))
    middle = np.s_[y - 10 : y + 10, x - 10 : x + 10]
    assert photo[middle].astype(float).mean() - made.photo.rgb[middle].mean() > 20
    beyond = made.attention[..., 0] == 0
    assert beyond.mean() > 0.2 and np.array_equal(made.photo.rgb[beyond], photo[beyond])
    assert made.attention[middle].min() > 100
    expected = translate_crop(dark, made.crop.image).picture.clamp(-1, 1)
    assert np.abs(made.image - (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5).max() < 1
    again = lf.translate(photo, dark)
    assert np.array_equal(again.photo.rgb, made.photo.rgb)


def test_the_other_way_and_the_crop_alone(photo: np.ndarray, dark: TranslationNet, tmp_path: Path) -> None:
    back = lf.translate(photo, dark, lf.TranslateOptions(back=True))
    assert np.array_equal(back.photo.rgb, photo) and not back.attention.any()
    path = save(dark, tmp_path / "dark.safetensors")
    Image.fromarray(photo).save(tmp_path / "photo.png")
    alone = lf.translate(tmp_path / "photo.png", path, lf.TranslateOptions(place="crop"))
    assert alone.photo.rgb.shape == alone.attention.shape == (128, 128, 3)
    assert (
        np.abs(alone.photo.rgb.astype(int) - lf.translate(photo, dark).image).max() <= 1
    )  # the file has half precision


def test_a_photo_without_a_face_and_a_wrong_model_are_refused(photo: np.ndarray, dark: TranslationNet) -> None:
    with pytest.raises(lf.NoFaceFound):
        lf.translate(np.full((64, 64, 3), 90, np.uint8), dark)
    with pytest.raises(lf.WeightsError, match="perceptual"):
        lf.translate(photo, "perceptual")
