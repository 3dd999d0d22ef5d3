"""Metrics against outside oracles (scikit-image) and direct formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from latentface import metrics
from latentface.errors import UsageError
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet


def pair(side: int = 40, noise: float = 0.2, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(3)
    smooth = torch.nn.functional.interpolate(
        torch.rand(2, 3, 6, 6, generator=source), size=(side, side + 16), mode="bicubic"
    )
    a = (smooth * 2 - 1).clamp(-1, 1).to(dtype)
    return a, (a + noise * torch.randn(a.shape, generator=source, dtype=dtype)).clamp(-1, 1)


def test_psnr_agrees_with_scikit_image() -> None:
    a, b = pair()
    for k, value in enumerate(metrics.psnr(a, b)):
        assert value.item() == pytest.approx(peak_signal_noise_ratio(a[k].numpy(), b[k].numpy(), data_range=2.0))
    assert torch.isinf(metrics.psnr(a, a)).all()


def test_psnr_of_bytes_uses_their_span() -> None:
    a = torch.zeros(1, 3, 4, 4)
    assert metrics.psnr(a, a + 255, span=255).item() == pytest.approx(0.0)


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_agrees_with_scikit_image(noise: float) -> None:
    a, b = pair(noise=noise)
    for k, value in enumerate(metrics.ssim(a, b)):
        expected = structural_similarity(
            a[k].numpy() + 1,  # the luminance term counts from black
            b[k].numpy() + 1,
            channel_axis=0,
            data_range=2.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        # scikit-image averages over windows whose centre is 5 pixels inside: the same windows
        assert value.item() == pytest.approx(expected, abs=1e-9)


def test_ssim_is_one_for_equal_pictures_and_falls_with_noise() -> None:
    a, _ = pair()
    values = [metrics.ssim(a, pair(noise=noise)[1]).mean().item() for noise in (0.0, 0.1, 0.3)]
    assert values[0] == pytest.approx(1.0)
    assert values[0] > values[1] > values[2]


def direct_ms_ssim(a: np.ndarray, b: np.ndarray, weights: tuple[float, ...]) -> float:
    """One channel [H, W], written out from the paper with scikit-image's full maps."""
    from scipy.ndimage import correlate1d

    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    line /= line.sum()

    def window(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, line, axis=0), line, axis=1)[5:-5, 5:-5]

    result = 1.0
    for scale, weight in enumerate(weights):
        mu_a, mu_b = window(a), window(b)
        var_a, var_b, cov = window(a * a) - mu_a**2, window(b * b) - mu_b**2, window(a * b) - mu_a * mu_b
        contrast = (2 * cov + 0.06**2) / (var_a + var_b + 0.06**2)
        if scale == len(weights) - 1:
            contrast = contrast * (2 * mu_a * mu_b + 0.02**2) / (mu_a**2 + mu_b**2 + 0.02**2)
        result *= max(contrast.mean(), 0.0) ** weight
        if scale == len(weights) - 1:
            break
        a = a.reshape(a.shape[0] // 2, 2, a.shape[1] // 2, 2).mean(axis=(1, 3))
        b = b.reshape(b.shape[0] // 2, 2, b.shape[1] // 2, 2).mean(axis=(1, 3))
    return result


def test_ms_ssim_against_the_formula_written_out() -> None:
    a, b = pair(side=192)
    found = metrics.ms_ssim(a, b)
    for k in range(2):
        pairs = [(a[k, c].numpy() + 1, b[k, c].numpy() + 1) for c in range(3)]
        channels = [direct_ms_ssim(*pair, metrics.MS_SSIM_WEIGHTS) for pair in pairs]
        assert found[k].item() == pytest.approx(np.mean(channels), abs=1e-9)


def test_ms_ssim_refuses_pictures_too_small_for_its_scales() -> None:
    a, b = pair(side=128)
    with pytest.raises(UsageError, match="176 or more"):
        metrics.ms_ssim(a, b)
    assert metrics.ms_ssim(a, b, weights=metrics.MS_SSIM_WEIGHTS[:3]).shape == (2,)


def test_measures_are_differentiable() -> None:
    a, b = pair(side=16)
    a.requires_grad_(True)
    for value in (metrics.psnr(a, b), metrics.ssim(a, b), metrics.ms_ssim(a, b, weights=(1.0,))):
        (gradient,) = torch.autograd.grad(value.sum(), a)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


def test_lpips_is_the_networks_distance_without_gradients() -> None:
    a, b = pair(dtype=torch.float32)
    torch.manual_seed(0)
    network = PerceptualNet(PerceptualConfig(widths=(4, 4), depths=(1, 1)))
    found = metrics.lpips(network, a, b)
    assert not found.requires_grad
    assert torch.equal(found, network(a, b).detach())


def test_landmark_error_is_in_inter_ocular_distances() -> None:
    source = torch.Generator().manual_seed(1)
    truth = torch.rand(2, 68, 2, generator=source)
    truth[:, 36:42] = torch.tensor([10.0, 5.0])
    truth[:, 42:48] = torch.tensor([30.0, 5.0])
    found = truth + torch.tensor([3.0, 4.0])
    assert torch.allclose(metrics.landmark_error(found, truth), torch.full((2,), 5.0 / 20.0))
    with pytest.raises(UsageError, match=r"\[N, 68, 2\]"):
        metrics.landmark_error(found[:, :5], truth[:, :5])


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.ssim, metrics.ms_ssim])
def test_different_shapes_are_refused(measure) -> None:
    with pytest.raises(UsageError, match="shapes"):
        measure(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 17))


def test_kernel_distance_is_the_mean_over_pairs() -> None:
    random = torch.Generator().manual_seed(4)
    a, b = torch.randn(7, 3, generator=random), torch.randn(5, 3, generator=random) + 1

    def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        return float((x.double() @ y.double() / 3 + 1) ** 3)

    same = [
        np.mean([kernel(x, y) for i, x in enumerate(part) for j, y in enumerate(part) if i != j]) for part in (a, b)
    ]
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert metrics.kernel_distance(a, b) == pytest.approx(sum(same) - 2 * across)
    assert metrics.kernel_distance(a, b) == pytest.approx(metrics.kernel_distance(b, a))
    many = torch.randn(2, 2000, 3, generator=random)
    assert abs(metrics.kernel_distance(*many)) < 0.05 < metrics.kernel_distance(many[0], many[1] + 0.5)
    assert metrics.kernel_distance(a, b, scale=0.0) == pytest.approx(0)
    with pytest.raises(UsageError, match="expected"):
        metrics.kernel_distance(a, b[:, :2])


def test_frechet_distance_agrees_with_the_matrix_square_root() -> None:
    source = torch.Generator().manual_seed(0)
    a = torch.randn(400, 5, generator=source) @ torch.randn(5, 5, generator=source)
    b = torch.randn(300, 5, generator=source) + 0.5
    first, second = np.cov(a.T.double()), np.cov(b.T.double())
    shift = ((a.double().mean(0) - b.double().mean(0)) ** 2).sum().item()
    expected = shift + np.trace(first + second - 2 * np.real(scipy.linalg.sqrtm(first @ second)))
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    moved = a + torch.tensor([3.0, 0, 0, 0, 0])
    assert metrics.frechet_distance(a, moved) == pytest.approx(9, rel=1e-4)
    few = metrics.frechet_distance(a[:4], b[:4])  # fewer than dimensions: covariances without full rank
    assert np.isfinite(few) and few > 0
    for bad in (a[:, :3], a[:1], a[0]):
        with pytest.raises(UsageError, match="expected"):
            metrics.frechet_distance(bad, a)


def test_pooled_features_are_means_of_the_last_map() -> None:
    network = PerceptualNet(PerceptualConfig(widths=(4, 8), depths=(1, 1)))
    images = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pooled = metrics.pooled_features(network, images)
    torch.testing.assert_close(pooled, network.features(images)[-1].flatten(2).mean(2))
    assert pooled.shape == (3, 8)


def test_content_distance_by_its_three_definitions() -> None:
    walk = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [6.0, 8.0]])
    assert metrics.content_distance(walk, "consecutive").item() == pytest.approx((5 + 5 + 10) / 3)
    assert metrics.content_distance(walk, "first").item() == pytest.approx((5 + 0 + 10) / 3)
    assert metrics.content_distance(walk).item() == pytest.approx((5 + 0 + 10 + 5 + 5 + 10) / 6)
    assert metrics.content_distance(walk[:1].expand(5, -1)).item() == 0
    with pytest.raises(UsageError, match="two frames"):
        metrics.content_distance(walk[:1])
    with pytest.raises(UsageError, match="consecutive or first"):
        metrics.content_distance(walk, "some")


def test_landmark_roughness_is_acceleration_in_inter_ocular_distances() -> None:
    rest = torch.rand(68, 2, generator=torch.Generator().manual_seed(2))
    rest[36:42], rest[42:48] = torch.tensor([10.0, 5.0]), torch.tensor([30.0, 5.0])
    time = torch.arange(9.0)[:, None, None] / 25
    assert metrics.landmark_roughness(rest + 7 * time, 25).item() == pytest.approx(0, abs=1e-2)
    falling = rest.double() + torch.tensor([0.0, 0.5 * 60.0]) * time.double() ** 2
    assert metrics.landmark_roughness(falling, 25).item() == pytest.approx(60 / 20, rel=1e-6)
    for bad in (falling[:2], falling[:, :5]):
        with pytest.raises(UsageError, match="three frames"):
            metrics.landmark_roughness(bad, 25)
