"""The operations against outside oracles: scipy for the filter, direct float64 formulas for the others."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from torch.autograd import gradcheck, gradgradcheck

from latentface.ops import bias_act, make_filter, modulated_conv2d, upfirdn2d, upsample2d

TAPS = (1.0, 3.0, 3.0, 1.0)
LOPSIDED = torch.tensor([[1.0, -2.0, 0.5], [0.25, 3.0, 1.5]], dtype=torch.float64)  # shows a flip or transposition


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
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
    x = draw(2, 3, 7, 6)
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
        upfirdn2d(draw(1, 1, 2, 2), make_filter(TAPS).double())
    with pytest.raises(ValueError, match="expected"):
        upfirdn2d(draw(2, 2), make_filter(TAPS))


@pytest.mark.parametrize("activation", ["lrelu", "linear"])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("dims", [2, 4])
def test_bias_act_against_the_formula(activation: str, clamp: float | None, dims: int) -> None:
    x = draw(*(3, 5, 4, 6)[:dims])
    bias = draw(5, seed=1)
    y = bias_act(x, bias, activation=activation, gain=1.3, clamp=clamp).numpy()
    shifted = x.numpy() + bias.numpy().reshape(1, 5, *[1] * (dims - 2))
    expected = 1.3 * (np.where(shifted < 0, 0.2 * shifted, shifted) if activation == "lrelu" else shifted)
    expected = expected if clamp is None else np.clip(expected, -clamp, clamp)
    np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_bias_act_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="bias"):
        bias_act(draw(1, 3, 2, 2), draw(4))
    with pytest.raises(ValueError, match="unknown"):
        bias_act(draw(1, 3), activation="swish")
    with pytest.raises(ValueError, match="positive"):
        bias_act(draw(1, 3), gain=0.0)


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
    x, weight, styles = draw(2, 5, 6, 7), draw(4, 5, k, k, seed=1), draw(2, 5, seed=2)
    y = modulated_conv2d(x, weight, styles, demodulate=demodulate)
    np.testing.assert_allclose(y.numpy(), direct(x, weight, styles, demodulate), atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_upsampling_is_zero_insertion_convolution_and_filter(k: int, demodulate: bool) -> None:
    """The transposed convolution equals zero insertion, w' mirrored on the full image, then the low-pass filter."""
    x, weight, styles = draw(2, 3, 4, 5), draw(4, 3, k, k, seed=1), draw(2, 3, seed=2)
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
    x, weight, styles = draw(1, 3, 4, 4), draw(2, 3, 3, 3), draw(1, 3)
    for arguments in [(x, weight, draw(1, 4)), (x, draw(2, 4, 3, 3), styles), (x, draw(2, 3, 2, 2), styles)]:
        with pytest.raises(ValueError, match="expected"):
            modulated_conv2d(*arguments)
    with pytest.raises(ValueError, match="low-pass"):
        modulated_conv2d(x, weight, styles, up=2)


def check_twice(function: object, *inputs: torch.Tensor) -> None:
    for each in inputs:
        each.requires_grad_()
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("options", [{}, {"up": 2, "padding": (2, 1, 2, 1)}, {"down": 2, "padding": (1, 2, 1, 2)}])
def test_upfirdn2d_derivatives(options: dict[str, object]) -> None:
    kernel = make_filter(TAPS).double()
    check_twice(lambda x: upfirdn2d(x, kernel, gain=2.0, **options), draw(1, 2, 5, 4))


@pytest.mark.parametrize("activation", ["lrelu", "linear"])
@pytest.mark.parametrize("clamp", [None, 1.0])
def test_bias_act_derivatives(activation: str, clamp: float | None) -> None:
    check_twice(
        lambda x, b: bias_act(x, b, activation=activation, gain=1.4, clamp=clamp), draw(2, 3, 2, 2), draw(3, seed=1)
    )


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_conv2d_derivatives(up: int, demodulate: bool) -> None:
    kernel = make_filter(TAPS).double()
    check_twice(
        lambda x, w, s: modulated_conv2d(x, w, s, demodulate=demodulate, up=up, kernel=kernel),
        draw(2, 2, 3, 2), draw(2, 2, 3, 3, seed=1), draw(2, 2, seed=2),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 3e3])
def test_half_precision_stays_in_range(scale: float) -> None:
    """Large styles and weights would overflow float16 (65504) unless both are brought to unit scale first."""
    x, weight, styles = draw(1, 64, 4, 4), draw(8, 64, 3, 3, seed=1) * scale, draw(1, 64, seed=2) * scale
    y = modulated_conv2d(x.half(), weight.float(), styles.float())
    np.testing.assert_allclose(y.double().numpy(), direct(x, weight, styles, True), atol=0.02)
