"""Smooth fields over a picture: resized, blurred, eased, and computed on a small copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from latentface.arrays import Float32Array

SMALL_SIDE = 256  # masks and colour fields are smooth, so they are computed at this size at most


def blur(field: Float32Array, sigma: float, side: int = SMALL_SIDE) -> Float32Array:
    """Gaussian blur of a field [H, W, C], computed on a copy of at most `side` pixels in each dimension."""

    def smooth(small: Float32Array, scale: float) -> Float32Array:
        return np.asarray(ndimage.gaussian_filter(small, (sigma * scale, sigma * scale, 0)))

    return on_small_copy(smooth, field, side)


def on_small_copy(
    work: Callable[[Float32Array, float], Float32Array], field: Float32Array, side: int = SMALL_SIDE
) -> Float32Array:
    """Apply a smooth operation to a copy of [H, W, C] of at most `side` pixels; it also receives the copy's scale."""
    shape = field.shape[:2]
    scale = min(1.0, side / max(shape))
    small = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    return resize(work(resize(field, small), scale), shape)


def resize(field: Float32Array, shape: Sequence[int]) -> Float32Array:
    """Resize [H, W] or [H, W, C]: area averages when shrinking, bilinear when enlarging."""
    if field.shape[:2] == tuple(shape):
        return field
    if field.ndim == 3:
        return np.stack([resize(field[..., c], shape) for c in range(field.shape[2])], axis=-1)
    method = Image.Resampling.BOX if shape[0] < field.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(field, np.float32)).resize((shape[1], shape[0]), method))


def smoothstep(t: NDArray[np.floating]) -> Float32Array:
    """3 t^2 - 2 t^3 between 0 and 1, and 0 or 1 outside."""
    t = t.clip(0, 1).astype(np.float32)
    return np.asarray(t * t * (3 - 2 * t))
