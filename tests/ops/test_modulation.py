"""Modulated convolution against equations 1 to 3 of the paper in float64, and its derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from latentface.ops import make_filter, modulated_conv2d

TAPS = (1.0, 3.0, 3.0, 1.0)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def direct(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, demodulate: bool) -> np.ndarray:
    """Equations 1 to 3 as they are written: a kernel w' for each sample, summed tap by tap over a zero-padded image."""
    n, _, h, w = x.shape
    out, _, k, _ = weight.shape
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    y = np.zeros((n, out, h, w))
    for sample in range(n):
        own = weight.numpy() * styles.numpy()[sample][None, :, None, None]
        if demodulate:
            own = own / np.sqrt((own**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        for i in range(k):
            for j in range(k):
                y[sample] += np.einsum("oc,chw->ohw", own[:, :, i, j], padded[sample, :, i : i + h, j : j + w])
    return y


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_conv2d_against_the_formula(k: int, demodulate: bool) -> None:
    x, weight, styles = normal(2, 5, 6, 7), normal(4, 5, k, k, seed=1), normal(2, 5, seed=2)
    y = modulated_conv2d(x, weight, styles, demodulate=demodulate)
    np.testing.assert_allclose(y.numpy(), direct(x, weight, styles, demodulate), atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_upsampling_is_zero_insertion_convolution_and_filter(k: int, demodulate: bool) -> None:
    """The transposed convolution equals zero insertion, w' mirrored on the full image, then the low-pass filter."""
    x, weight, styles = normal(2, 3, 4, 5), normal(4, 3, k, k, seed=1), normal(2, 3, seed=2)
    kernel = make_filter(TAPS).double()
    y = modulated_conv2d(x, weight, styles, demodulate=demodulate, up=2, kernel=kernel)
    spread = torch.zeros(
        2, 3, 8 + 8, 10 + 8, dtype=torch.float64
    )  # a border of 4 keeps the edge effects of `direct` away
    spread[:, :, 4:12:2, 4:14:2] = x
    sharp = direct(spread, weight.flip((2, 3)), styles, demodulate)
    taps = 4.0 * kernel.numpy()
    expected = sum(taps[i, j] * sharp[:, :, 2 + i : 10 + i, 2 + j : 12 + j] for i in range(4) for j in range(4))
    assert y.shape == (2, 4, 8, 10)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-12)


def test_modulated_conv2d_says_what_does_not_fit() -> None:
    x, weight, styles = normal(1, 3, 4, 4), normal(2, 3, 3, 3), normal(1, 3)
    for arguments in [(x, weight, normal(1, 4)), (x, normal(2, 4, 3, 3), styles), (x, normal(2, 3, 2, 2), styles)]:
        with pytest.raises(ValueError, match="expected"):
            modulated_conv2d(*arguments)
    with pytest.raises(ValueError, match="low-pass"):
        modulated_conv2d(x, weight, styles, up=2)


def check_twice(function: object, *inputs: torch.Tensor) -> None:
    for each in inputs:
        each.requires_grad_()
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_conv2d_derivatives(up: int, demodulate: bool) -> None:
    kernel = make_filter(TAPS).double()
    check_twice(
        lambda x, w, s: modulated_conv2d(x, w, s, demodulate=demodulate, up=up, kernel=kernel),
        normal(2, 2, 3, 2), normal(2, 2, 3, 3, seed=1), normal(2, 2, seed=2),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 3e3])
def test_half_precision_stays_in_range(scale: float) -> None:
    """Large styles and weights would overflow float16 (65504) unless both are brought to unit scale first."""
    x, weight, styles = normal(1, 64, 4, 4), normal(8, 64, 3, 3, seed=1) * scale, normal(1, 64, seed=2) * scale
    y = modulated_conv2d(x.half(), weight.float(), styles.float())
    np.testing.assert_allclose(y.double().numpy(), direct(x, weight, styles, True), atol=0.02)
