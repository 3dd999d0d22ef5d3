"""The tone of photos in one colour: what is painted into a grey or a sepia photo is grey or sepia as well."""

from __future__ import annotations

import numpy as np

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels

DEGREE = 3  # of each channel as a polynomial of lightness: faded prints are tinted in shadows and lights differently
STRAY = 2.5  # grey levels by which the channels of a photo in one tone stray from these polynomials
MOST = 20_000  # pixels that are looked at


def keep_tone(content: Float32Array, photo: Pixels, hole: BoolArray) -> Float32Array:
    """A completed picture [H, W, 3], 0 to 255, in the tone of the photo, if that is in one.

    A photo is in one tone if what can be seen of it has a colour for each lightness. Others are returned as they are.

    Args:
        content: what was completed.
        photo: uint8 RGB [H, W, 3].
        hole: [H, W], what of the photo is hidden.
    """
    seen = photo[~hole].astype(np.float64)
    seen = seen[:: max(1, len(seen) // MOST)]
    powers = _powers(seen)
    curves = np.linalg.lstsq(powers, seen, rcond=None)[0]
    if float(np.sqrt(((powers @ curves - seen) ** 2).mean(axis=0)).max()) > STRAY:
        return content
    result: Float32Array = content.copy()
    result[hole] = _powers(content[hole]) @ curves
    return result


def _powers(colours: Float32Array | Float64Array) -> Float64Array:
    """The powers of the lightness of colours [n, 3], from 0 to 1: [n, DEGREE + 1]."""
    return np.vander(colours.astype(np.float64).mean(axis=1) / 255, DEGREE + 1)
