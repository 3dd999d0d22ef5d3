"""Resampling with finite impulse response filters: upsample, filter, downsample (upfirdn)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from latentface.ops.fused import Resample, apply
from latentface.ops.native import Resampling, serves


def make_filter(taps: Sequence[float]) -> torch.Tensor:
    """Separable 2-D low-pass filter, float32 [len(taps), len(taps)], normalised to sum 1."""
    line = torch.tensor(list(taps), dtype=torch.float32, device="cpu")
    if line.ndim != 1 or line.numel() == 0 or float(line.sum()) == 0:
        raise ValueError(f"filter taps {tuple(taps)} cannot be normalised: give a list of numbers with a non-zero sum")
    line = line / line.sum()
    return torch.outer(line, line)


def upfirdn2d(
    x: torch.Tensor,
    kernel: torch.Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
) -> torch.Tensor:
    """Insert `up - 1` zeros after each pixel, pad, convolve with `kernel` times `gain`, keep every `down`-th pixel.

    Args:
        x: [N, C, H, W].
        kernel: [kh, kw]; applied as a true convolution (mirrored), the same for every channel.
        up: factor of the upsampling, 1 or more.
        down: factor of the downsampling, 1 or more.
        padding: left, right, top, bottom, in pixels of the upsampled image; negative values crop.
        gain: factor of the result; up^2 keeps the brightness of an upsampled image.

    Returns:
        [N, C, (H * up + top + bottom - kh) // down + 1, (W * up + left + right - kw) // down + 1], dtype of x.

    Raises:
        ValueError: x or kernel has a wrong rank, or the kernel is larger than the padded image.
    """
    if x.ndim != 4 or kernel.ndim != 2:
        raise ValueError(f"x {tuple(x.shape)} and kernel {tuple(kernel.shape)}: expected [N, C, H, W] and [kh, kw]")
    h, w = x.shape[2:]
    left, right, top, bottom = padding
    padded = (h * up + top + bottom, w * up + left + right)
    if padded[0] < kernel.shape[0] or padded[1] < kernel.shape[1]:
        raise ValueError(f"kernel {tuple(kernel.shape)} is larger than the padded image {padded}")
    if serves(x) and not kernel.requires_grad:
        size = ((padded[0] - kernel.shape[0]) // down + 1, (padded[1] - kernel.shape[1]) // down + 1)
        y: torch.Tensor = apply(Resample, x, kernel, Resampling(up, down, (top, left), size, gain))
        return y
    return _plain_upfirdn2d(x, kernel, up, down, padding, gain)


def _plain_upfirdn2d(
    x: torch.Tensor, kernel: torch.Tensor, up: int, down: int, padding: tuple[int, int, int, int], gain: float
) -> torch.Tensor:
    n, c, h, w = x.shape
    if up > 1:
        x = x.reshape(n, c, h, 1, w, 1)
        x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1)).reshape(n, c, h * up, w * up)
    left, right, top, bottom = padding
    border = (0, 0)
    if left == right >= 0 and top == bottom >= 0:
        border = (top, left)  # the convolution does the padding itself, without a copy
    else:
        x = F.pad(x, (left, right, top, bottom))
    weight = (kernel * gain).flip((0, 1)).to(x)[None, None].expand(c, 1, -1, -1)
    return F.conv2d(x, weight, stride=down, padding=border, groups=c)


def upsample2d(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], brightness kept, pixel centres kept (the filter is centred on the new grid)."""
    kh, kw = kernel.shape
    padding = ((kw + 1) // 2, (kw - 2) // 2, (kh + 1) // 2, (kh - 2) // 2)
    return upfirdn2d(x, kernel, up=2, padding=padding, gain=4.0)
