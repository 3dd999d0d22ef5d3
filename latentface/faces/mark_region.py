"""The part of a face that the invisible mark may touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage, spatial

from latentface.arrays import Float32Array
from latentface.faces.crop import inter_ocular

_FOREHEAD = 0.5  # of the distance between the eyes: how far it reaches above the brows
_SOFT = 1 / 64  # of the crop's side


def mark_region(landmarks: NDArray[np.floating], side: int) -> Float32Array:
    """How strong the mark may be in an FFHQ crop, [side, side] from 0 (outside the face) to 1.

    landmarks: [68, 2] in pixels of the crop. The region is the convex hull of the jaw and of the brows, raised
    onto the forehead; it fades towards its edge from within, so that nothing outside changes.
    """
    brows = landmarks[17:27] - [0.0, _FOREHEAD * inter_ocular(landmarks)]
    points = np.concatenate([landmarks[:17], brows])
    outline = points[spatial.ConvexHull(points).vertices]
    canvas = Image.new("L", (side, side))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in outline], fill=255)
    inside = np.asarray(canvas, np.float32) / 255
    soft = ndimage.gaussian_filter(inside, _SOFT * side)
    return np.asarray(np.clip(2 * soft - 1, 0, 1) * inside, np.float32)
