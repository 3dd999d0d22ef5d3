"""Modulated convolution (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from latentface.ops.filtering import upfirdn2d
from latentface.ops.fused import PixelProduct, apply
from latentface.ops.native import is_channels_last, serves
from latentface.ops.precision import computes_in_half, computing_dtype, without_autocast

EPSILON = 1e-8


def modulated_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    styles: torch.Tensor,
    *,
    demodulate: bool = True,
    up: int = 1,
    kernel: torch.Tensor | None = None,
) -> torch.Tensor:
    """Convolve each sample with its own weight w'[o, i] = s[i] w[o, i], divided by its norm over i, kh, kw.

    Equations 1 and 3 of the paper, computed without building w': scaling the input channels by s, convolving with the
    shared w, and scaling the output channels by d[o] = rsqrt(sum (s[i] w[o, i])^2 + 1e-8) gives the same numbers, keeps
    one convolution for the whole batch, and is far faster on a CPU.

    Args:
        x: [N, I, H, W].
        weight: [O, I, k, k], k odd.
        styles: [N, I].
        demodulate: divide by the norm; to-RGB layers do not.
        up: 1, or 2 for a transposed convolution of stride 2 followed by the low-pass `kernel` (times 4).
        kernel: [kh, kw], for up = 2 only.

    Returns:
        [N, O, H * up, W * up].

    Raises:
        ValueError: the shapes do not match, `up` is neither 1 nor 2, or up=2 has no kernel.
    """
    _check(x, weight, styles, up, kernel)
    if weight.shape[2] == up == 1 and not demodulate and is_channels_last(x) and serves(x):
        return _modulated_product(x.to(computing_dtype(x)), weight, styles)
    if demodulate and computes_in_half(x):
        # sums of squares exceed the range of float16; d undoes both scales exactly
        weight = weight / weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(EPSILON)
        weight = weight / weight[0].numel() ** 0.5
        styles = styles / styles.abs().amax(1, keepdim=True).clamp_min(EPSILON)
    y = x * styles.to(x.dtype)[:, :, None, None]
    padding = weight.shape[2] // 2
    if up == 1:
        y = F.conv2d(y, weight.to(x.dtype), padding=padding)
    else:
        y = _up_convolution(y, weight.to(x.dtype), kernel, padding)
    if demodulate:
        y = y * demodulation(weight_power(weight), styles).to(y.dtype)[:, :, None, None]
    return y


def _modulated_product(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
    """A 1x1 convolution of x in channels-last layout as a matrix product, with the styles applied to the weights."""
    with without_autocast(x):
        own = (weight[:, :, 0, 0] * styles[:, None]).to(x.dtype)  # [N, O, I]
        y: torch.Tensor = apply(PixelProduct, own, x.permute(0, 2, 3, 1).flatten(1, 2))
    return y.reshape(*y.shape[:2], *x.shape[2:])


def weight_power(weight: torch.Tensor) -> torch.Tensor:
    """Sum of the squares of weight [O, I, kh, kw] over kh, kw: [O, I], at least float32."""
    return weight.to(torch.promote_types(weight.dtype, torch.float32)).square().sum((2, 3))


def demodulation(power: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
    """The factors d [N, O] = rsqrt(sum over i of styles[n, i]^2 power[o, i] + 1e-8), with power of `weight_power`."""
    with without_autocast(styles):
        return (styles.to(power.dtype).square() @ power.t() + EPSILON).rsqrt()


def _up_convolution(x: torch.Tensor, weight: torch.Tensor, kernel: torch.Tensor | None, padding: int) -> torch.Tensor:
    assert kernel is not None
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [N, O, 2H - 1 + 2p, 2W - 1 + 2p]
    return upfirdn2d(y, kernel, padding=upsampling_padding(kernel, padding), gain=4.0)


def upsampling_padding(kernel: torch.Tensor, padding: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom padding of the low-pass filter after a transposed convolution that pads by `padding`."""
    kh, kw = kernel.shape
    left, right = (kw + 1) // 2 - padding, (kw - 2) // 2 - padding + 1
    top, bottom = (kh + 1) // 2 - padding, (kh - 2) // 2 - padding + 1
    return left, right, top, bottom


def _check(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, up: int, kernel: torch.Tensor | None) -> None:
    fits = x.ndim == 4 and weight.ndim == 4 and x.shape[1] == weight.shape[1] and styles.shape == x.shape[:2]
    if not fits or weight.shape[2] != weight.shape[3] or weight.shape[2] % 2 == 0:
        raise ValueError(
            f"x {tuple(x.shape)}, weight {tuple(weight.shape)}, styles {tuple(styles.shape)}: "
            "expected [N, I, H, W], [O, I, k, k] with k odd, [N, I]"
        )
    if up not in (1, 2) or (up == 2 and kernel is None):
        raise ValueError(f"up={up}: expected 1, or 2 together with a low-pass kernel")
