from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from latentface.errors import InputError, UsageError
from latentface.evaluation.pairs import FACES, PairMeter, region_mask
from latentface.faces.crop import FaceCrop
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from tests.helpers.cli_desk import face_points

SIDE = 200


def picture(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    smooth = np.kron(random.integers(0, 256, (10, 10, 3)), np.ones((20, 20, 1)))
    return smooth.astype(np.uint8)


def noisy(seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.clip(picture() + random.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def find_face(photo: np.ndarray) -> FaceCrop | None:
    """A face in the middle, unless the picture is black; further right by a pixel for each grey level of its corner."""
    if not photo.any():
        return None
    points = face_points() * 120 + (40 + float(photo[0, 0, 0] == 255), 40)
    return FaceCrop(photo, points, np.array([[0, 0], [0, SIDE], [SIDE, SIDE], [SIDE, 0]], np.float64))


def identity(crops: Tensor) -> Tensor:
    mean = crops.mean((2, 3))
    return torch.nn.functional.normalize(mean, dim=1)


def meter(**options: Any) -> PairMeter:
    torch.manual_seed(0)
    network = PerceptualNet(PerceptualConfig(widths=(4, 8), depths=(1, 1))).requires_grad_(False)
    return PairMeter(network, identity, find_face, **options)


def test_pixels_agree_with_scikit_image() -> None:
    a, b = noisy(), picture()
    found = meter()(a, b)
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(b, a), rel=1e-4)
    whole = structural_similarity(
        b, a, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )[1]
    assert found["ssim"] == pytest.approx(whole[5:-5, 5:-5].mean(), rel=1e-4)
    assert tuple(found) == ("psnr", "ssim", "ms-ssim", "perceptual", *FACES)


def test_equal_pictures_are_equal() -> None:
    found = meter()(picture(), picture())
    assert found["psnr"] == math.inf and found["ssim"] == pytest.approx(1) and found["perceptual"] == 0
    assert (found["identity"], found["aed"], found["akd"]) == (pytest.approx(1), pytest.approx(0, abs=1e-3), 0)


def test_landmarks_are_compared_in_inter_ocular_distances() -> None:
    moved = picture()
    moved[0, 0] = 255
    still = picture()
    still[0, 0] = 0
    points = find_face(still).landmarks  # type: ignore[union-attr]
    unit = float(np.linalg.norm(points[42:48].mean(0) - points[36:42].mean(0)))
    assert meter(measures=("akd",))(moved, still) == {"akd": pytest.approx(1 / unit)}


@pytest.mark.parametrize(("region", "place"), [("mouth", (130, 100)), ("face", (100, 100)), ("outside", (10, 190))])
def test_a_region_sees_what_changes_in_it_and_nothing_else(region: str, place: tuple[int, int]) -> None:
    changed = picture()
    y, x = place
    changed[y - 3 : y + 4, x - 3 : x + 4] ^= 128
    for asked in ("mouth", "face", "outside"):
        found = meter(region=asked, measures=("psnr", "ssim", "perceptual"))(changed, picture())
        sees = asked == region or (asked == "face" and region == "mouth")
        assert (found["psnr"] < 60) == sees and (found["perceptual"] > 0) == sees


def test_the_psnr_of_a_region_counts_its_own_pixels_alone() -> None:
    a, b = noisy(), picture()
    mask = region_mask("face", find_face(b), (SIDE, SIDE))  # type: ignore[arg-type]
    error = ((a[mask].astype(float) - b[mask]) ** 2).mean()
    assert meter(region="face", measures=("psnr",))(a, b)["psnr"] == pytest.approx(
        10 * math.log10(255**2 / error), abs=1e-3
    )


def test_without_a_face_its_measures_are_not_numbers() -> None:
    found = meter()(noisy(), np.zeros((SIDE, SIDE, 3), np.uint8))
    assert all(math.isnan(found[name]) for name in FACES) and found["psnr"] > 0
    with pytest.raises(InputError, match="shows no face, so it has no region 'mouth'"):
        meter(region="mouth")(noisy(), np.zeros((SIDE, SIDE, 3), np.uint8))


def test_small_pictures_have_no_ms_ssim() -> None:
    assert math.isnan(meter()(noisy()[:100], picture()[:100])["ms-ssim"])


@pytest.mark.parametrize(
    ("result", "options", "error", "words"),
    [
        (noisy()[:150], {}, InputError, "200 x 150 and 200 x 200 pixels"),
        (noisy(), {"measures": ("lpips",)}, UsageError, "no measure 'lpips' of a pair; expected psnr"),
        (noisy(), {"measures": ("ms-ssim",), "region": "face"}, UsageError, "ms-ssim compares whole pictures"),
    ],
)
def test_what_cannot_be_compared_is_refused(result: np.ndarray, options: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        meter(**options)(result, picture())


def test_a_picture_too_small_for_networks_is_refused() -> None:
    with pytest.raises(InputError, match="expected 32 at least"):
        meter()(noisy()[:20], picture()[:20])


def test_a_region_of_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no region 'nose'"):
        region_mask("nose", find_face(picture()), (SIDE, SIDE))  # type: ignore[arg-type]
