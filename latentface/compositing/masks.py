"""Soft masks and colour fields of the compositor: the face, its occluders, and the pixels that an edit changed.

Lengths are in pixels unless stated to be in inter-ocular distances.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array
from latentface.fields import blur, on_small_copy, smoothstep

_COLOUR_REACH = 0.6  # inter-ocular distances over which a colour difference at the seam is propagated inwards
_COLOUR_SIDE = 64  # enough for a field as smooth as that
_CHANGED = (
    0.02,
    0.08,
)  # share of the range: a smaller change than the first counts as none, a larger one than the second as full


def changed(difference: Float32Array, unit: float) -> Float32Array:
    """The weight of an edit, [H, W]: 0 where it changes nothing, 1 where it does, with a margin against ghosts."""

    def share(small: Float32Array, scale: float) -> Float32Array:
        change = ndimage.gaussian_filter(np.abs(small).mean(-1) / 255, 0.03 * unit * scale)
        reach = max(1, round(0.12 * unit * scale))
        change = ndimage.maximum_filter(change, footprint=_ball(reach))
        low, high = _CHANGED
        return np.asarray(ndimage.gaussian_filter(smoothstep((change - low) / (high - low)), 0.06 * unit * scale))

    return on_small_copy(share, difference)


def seam_difference(difference: Float32Array, mask: Float32Array, unit: float) -> Float32Array:
    """The difference [H, W, 3] at the soft edge of the mask, propagated smoothly inwards (normalised convolution)."""
    seam = (4 * mask * (1 - mask))[..., None]
    fields = np.concatenate([seam * difference, seam], axis=-1)
    spread = blur(fields, _COLOUR_REACH * unit, _COLOUR_SIDE)
    return np.asarray(spread[..., :3] / np.maximum(spread[..., 3:], 1e-4))


def _ball(radius: int) -> BoolArray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x**2 + y**2 <= radius**2)
