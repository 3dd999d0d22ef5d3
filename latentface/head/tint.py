"""The one tint of a photo without colours: black-and-white, faded, or sepia."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentface.arrays import Float32Array, Float64Array, Pixels

GREY = 2  # largest difference between the channels of a grey photo
STEP = 4  # every so many pixels in both directions are looked at
#: Quantiles of how far channels differ from those of the tint, and their largest values: compression leaves some
#: colour, whereas a single coloured detail, such as eyes, is meant.
LEFT = ((0.99, 6.0), (0.9995, 20.0))


@dataclass(frozen=True, eq=False)
class Tint:
    """Channels as quadratic curves of brightness.

    Attributes:
        curves: factors of 1, brightness and its square, brightness from 0 to 1, for each channel from 0 to 255, [3, 3].
    """

    curves: Float64Array

    def __call__(self, picture: Pixels | Float32Array) -> Float32Array:
        """A picture [..., 3], 0 to 255, in this tint."""
        terms = _terms(np.asarray(picture, np.float32).mean(axis=-1))
        return np.asarray(np.clip(terms @ self.curves, 0, 255), np.float32)


NEUTRAL = Tint(np.array([[0.0] * 3, [255.0] * 3, [0.0] * 3]))


def find_tint(photo: Pixels) -> Tint | None:
    """The tint of a photo, uint8 RGB [H, W, 3]; None if it has colours."""
    if not photo.size:
        return None
    if int((photo.max(axis=2) - photo.min(axis=2)).max()) <= GREY:
        return NEUTRAL
    some = photo[STEP // 2 :: STEP, STEP // 2 :: STEP].reshape(-1, 3).astype(np.float64)
    if len(some) < 3:
        return None
    terms = _terms(some.mean(axis=1))
    curves = np.asarray(np.linalg.lstsq(terms, some, rcond=None)[0], np.float64)
    off = np.abs(terms @ curves - some).max(axis=1)
    return Tint(curves) if all(np.quantile(off, share) <= most for share, most in LEFT) else None


def _terms(values: Float32Array | Float64Array) -> Float64Array:
    light = np.asarray(values, np.float64) / 255
    return np.stack([np.ones_like(light), light, light**2], axis=-1)
