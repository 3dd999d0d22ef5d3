"""Resampling against scipy, and its derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from torch.autograd import gradcheck, gradgradcheck

from latentface.ops import make_filter, upfirdn2d, upsample2d

TAPS = (1.0, 3.0, 3.0, 1.0)
LOPSIDED = torch.tensor([[1.0, -2.0, 0.5], [0.25, 3.0, 1.5]], dtype=torch.float64)  # shows a flip or transposition


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def scipy_upfirdn(
    x: np.ndarray, kernel: np.ndarray, up: int, down: int, padding: tuple[int, int, int, int]
) -> np.ndarray:
    """upfirdn of one channel by scipy, for a kernel that is a sum of outer products (here: by its singular vectors).

    scipy's full convolution starts kernel - 1 samples before ours with no padding; padding moves the window.
    """
    left, right, top, bottom = padding
    u, s, v = np.linalg.svd(kernel)
    full = sum(
        s[k] * scipy.signal.upfirdn(v[k], scipy.signal.upfirdn(u[:, k], x, up=up, axis=0), up=up, axis=1)
        for k in range(len(s))
    )
    kh, kw = kernel.shape
    h, w = x.shape[0] * up, x.shape[1] * up
    canvas = np.zeros((h + kh - 1 + 40, w + kw - 1 + 40))
    canvas[20 : 20 + full.shape[0], 20 : 20 + full.shape[1]] = full  # canvas[20 + i] = full convolution at i
    rows = slice(20 + kh - 1 - top, 20 + h + bottom)
    columns = slice(20 + kw - 1 - left, 20 + w + right)
    return canvas[rows, columns][::down, ::down]


@pytest.mark.parametrize("up", [1, 2, 3])
@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (2, 1, 2, 1), (1, 1, 1, 1), (3, 0, 1, 2), (-1, 2, 0, -1)])
@pytest.mark.parametrize("kernel", [make_filter(TAPS).double(), LOPSIDED])
def test_upfirdn2d_against_scipy(up: int, down: int, padding: tuple[int, int, int, int], kernel: torch.Tensor) -> None:
    x = normal(2, 3, 7, 6)
    y = upfirdn2d(x, kernel, up=up, down=down, padding=padding, gain=1.5)
    for n in range(2):
        for c in range(3):
            expected = 1.5 * scipy_upfirdn(x[n, c].numpy(), kernel.numpy(), up, down, padding)
            np.testing.assert_allclose(y[n, c].numpy(), expected, atol=1e-12)


def test_upsample2d_keeps_brightness_and_place() -> None:
    ramp = torch.arange(16.0, dtype=torch.float64).expand(1, 1, 16, 16)
    big = upsample2d(ramp, make_filter(TAPS).double())
    assert big.shape == (1, 1, 32, 32)
    inside = big[0, 0, 4:-4, 4:-4]
    place = (
        torch.arange(32.0, dtype=torch.float64) + 0.5
    ) / 2 - 0.5  # pixel centres of the fine grid on the coarse one
    torch.testing.assert_close(inside, place[4:-4].expand(24, 24))


def test_make_filter_refuses_what_it_cannot_normalise() -> None:
    with pytest.raises(ValueError, match="cannot be normalised"):
        make_filter((1.0, -1.0))


def test_upfirdn2d_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="larger than the padded image"):
        upfirdn2d(normal(1, 1, 2, 2), make_filter(TAPS).double())
    with pytest.raises(ValueError, match="expected"):
        upfirdn2d(normal(2, 2), make_filter(TAPS))


def check_twice(function: object, *inputs: torch.Tensor) -> None:
    for each in inputs:
        each.requires_grad_()
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("options", [{}, {"up": 2, "padding": (2, 1, 2, 1)}, {"down": 2, "padding": (1, 2, 1, 2)}])
def test_upfirdn2d_derivatives(options: dict[str, object]) -> None:
    kernel = make_filter(TAPS).double()
    check_twice(lambda x: upfirdn2d(x, kernel, gain=2.0, **options), normal(1, 2, 5, 4))
