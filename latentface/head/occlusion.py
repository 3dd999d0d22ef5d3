"""Whether something hides the mouth in a photo: a microphone, a hand in a dark glove, a cup."""

from __future__ import annotations

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.ops.raster import sample

DARK = 0.4  # of the brightness of the cheeks: no person's lips are as dark
SHARE = 0.7  # of the lips that must be as dark


def is_mouth_hidden(photo: Pixels, points: Float64Array) -> bool:
    """Whether lips are much darker than the cheeks nearly everywhere, by landmarks [68, 2] in pixels of the photo."""
    inner = points[[60, 60, 61, 62, 63, 64, 64, 64, 65, 66, 67, 60]]  # beside each of the outer ones
    lips = [(1 - share) * points[48:60] + share * inner for share in (0.25, 0.5)]
    cheeks = 0.5 * (points[[2, 14]] + points[[31, 35]])
    unit = float(np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0)))
    steps = np.stack(np.meshgrid(*[np.linspace(-0.1, 0.1, 5) * unit] * 2), axis=-1).reshape(-1, 2)
    skin = sample(photo, (cheeks[:, None] + steps).astype(np.float32)).mean(axis=-1)
    light = sample(photo, np.concatenate(lips).astype(np.float32)).mean(axis=-1)
    return bool((light < DARK * np.median(skin)).mean() > SHARE)
