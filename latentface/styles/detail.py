"""Brings a stylised face to the photo's resolution: what the generator left out is restyled as its surroundings were.

The guided filter (He, Sun and Tang 2013) fits, in the window around each pixel, a linear map from the plain picture's
luma to the stylised picture's. The photo's finer detail and what the generator missed pass through this map.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import Float32Array, Pixels
from latentface.errors import UsageError
from latentface.fields import resize
from latentface.styles.losses import LUMA

_WINDOW = 0.025  # deviation of the window, as a share of the picture's side
_EPSILON = 0.004  # variance of luma in 0..1 below which contrasts are not amplified
_LARGEST = 1.5  # gain
_LUMA = np.array(LUMA, np.float32)
_SOLE = 0.02  # share of the colours' variance that regularises a map of colours


def gain(plain: Float32Array, styled: Float32Array) -> Float32Array:
    """The slope [S, S] of the styled luma on the plain one around each pixel; pictures are [S, S, 3] in 0..1."""

    def mean(values: Float32Array) -> Float32Array:
        return np.asarray(ndimage.gaussian_filter(values, _WINDOW * len(values)), np.float32)

    a, b = plain @ _LUMA, styled @ _LUMA
    covariance = mean(a * b) - mean(a) * mean(b)
    slope = covariance / (mean(a * a) - mean(a) ** 2 + _EPSILON)
    return np.asarray(slope.clip(0, _LARGEST), np.float32)


def with_detail(photo: Pixels, plain: Pixels, styled: Pixels, amount: float = 1.0) -> Pixels:
    """The stylised face at the photo's resolution.

    Args:
        photo: the aligned crop at the photo's resolution, uint8 RGB [S, S, 3].
        plain: the plain generator's picture of it, uint8 RGB [R, R, 3].
        styled: the stylised picture, uint8 RGB [R, R, 3].
        amount: how much of the detail is added.

    Returns:
        uint8 RGB [S, S, 3].
    """
    if plain.shape != styled.shape or photo.ndim != 3 or photo.shape[0] != photo.shape[1]:
        raise UsageError(f"photo {photo.shape}, plain {plain.shape}, styled {styled.shape}: expected squares [S, S, 3]")
    shape = photo.shape[:2]
    small, made = _unit(plain), _unit(styled)
    slope = resize(gain(small, made), shape)
    missing = (_unit(photo) - resize(small, shape)) @ _LUMA
    full = resize(made, shape) + amount * (slope * missing)[..., None]
    return np.asarray(np.rint(full.clip(0, 1) * 255), np.uint8)


def keep_colour(photo: Pixels, styled: Pixels) -> Pixels:
    """The luma of the stylised picture with the colours of the photo, both uint8 RGB [H, W, 3]."""
    own, other = photo.astype(np.float32), styled.astype(np.float32)
    made = own + ((other - own) @ _LUMA)[..., None]
    return np.asarray(np.rint(made.clip(0, 255)), np.uint8)


def recolour(photo: Pixels, before: Pixels, after: Pixels) -> Pixels:
    """Colours of a photo mapped as they changed from one picture to another, by a quadratic map of RGB.

    Args:
        photo: uint8 RGB [H, W, 3].
        before: uint8 RGB [S, S, 3], with `after` what the map is fitted to by ridge regression.
        after: uint8 RGB [S, S, 3].
    """
    source, target = (_sample(picture) for picture in (before, after))
    base = _terms(source)
    weight = _SOLE * len(base) * np.diag(base.var(axis=0) + 1e-6)
    fit = np.linalg.solve(base.T @ base + weight, base.T @ (target - source))
    rows = [row + _terms(row) @ fit for row in photo.astype(np.float32) / 255]
    return np.asarray(np.rint(np.stack(rows).clip(0, 1) * 255), np.uint8)


def _sample(picture: Pixels) -> Float32Array:
    """At most some 20,000 colours [N, 3] of a picture, evenly spaced."""
    colours = picture.reshape(-1, 3)
    return _unit(colours[:: max(1, len(colours) // 20_000)])


def _unit(pixels: Pixels) -> Float32Array:
    return np.asarray(np.divide(pixels, 255, dtype=np.float32))


def _terms(rgb: Float32Array) -> Float32Array:
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.stack([np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, g * b, r * b], -1)
