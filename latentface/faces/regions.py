"""Regions of a face from its landmarks: its outline, the part that expressions move, and what hair or a hand covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage, spatial

from latentface.arrays import BoolArray, Float32Array, Float64Array
from latentface.faces.crop import inter_ocular
from latentface.fields import on_small_copy

_EXPRESSIVE = (slice(17, 27), slice(36, 42), slice(42, 48), slice(48, 60))  # brows, eyes, mouth


_EXPRESSIVE_REACH = 0.15  # inter-ocular distances


_SKIN_LIMIT = 4.0  # Mahalanobis distance from the colour of the skin beyond which a pixel does not belong to it


def uncovered(base: Float32Array, landmarks: Float64Array, unit: float) -> Float32Array:
    """1 where a photo's region [H, W, 3] shows skin or features, falling to 0 where hair or a hand lies over the face.

    Colours decide: lightness, red minus green and yellow minus blue are compared with their robust mean and spread on
    cheeks and nose, so a hand with the colour of the face is not detected. landmarks: [68, 2] in the region's pixels;
    unit: their inter-ocular distance.
    """

    def visible(small: Float32Array, scale: float) -> Float32Array:
        red, green, blue = np.moveaxis(small, -1, 0)
        colour = np.stack([small.mean(-1), red - green, (red + green) / 2 - blue], axis=-1)
        points, size = landmarks * scale, (small.shape[1], small.shape[0])
        skin = _discs(
            [(points[41] + points[48]) / 2, (points[46] + points[54]) / 2, points[29]], 0.2 * unit * scale, size
        )
        middle = np.median(colour[skin], axis=0)
        spread = np.maximum(1.4826 * np.median(np.abs(colour[skin] - middle), axis=0), (14.0, 5.0, 5.0))
        other = np.sqrt((((colour - middle) / spread) ** 2).mean(-1)) > _SKIN_LIMIT
        other &= ~expressive_region(points, size)
        other = ndimage.binary_opening(other, iterations=max(1, round(0.02 * unit * scale)))
        wider = ndimage.binary_dilation(other, iterations=max(1, round(0.08 * unit * scale)))
        return np.asarray(1 - ndimage.gaussian_filter(wider.astype(np.float32), 0.04 * unit * scale), np.float32)

    return on_small_copy(visible, base)


def visible_share(image: NDArray[np.uint8], landmarks: Float64Array) -> float:
    """Uncovered share of the area of a face in a crop [S, S, 3], by `uncovered`. landmarks: [68, 2], pixels."""
    face = fill(outline([landmarks], 0.0), (image.shape[1], image.shape[0]))
    return float(uncovered(image.astype(np.float32), landmarks, inter_ocular(landmarks))[face].mean())


def expressive_region(landmarks: Float64Array, size: tuple[int, int]) -> BoolArray:
    """[height, width], true on brows, eyes and mouth and slightly around them. landmarks: [68, 2] in pixels."""
    reach = max(1, round(_EXPRESSIVE_REACH * inter_ocular(landmarks)))
    features = np.logical_or.reduce([fill(landmarks[part], size) for part in _EXPRESSIVE])
    return np.asarray(ndimage.binary_dilation(features, iterations=reach))


def outline(faces: Sequence[Float64Array | None], forehead: float) -> Float64Array:
    """The convex hull of faces' landmarks [68, 2], with brows raised by `forehead` inter-ocular distances."""
    hulls = []
    for points in faces:
        if points is not None:
            across = points[42:48].mean(0) - points[36:42].mean(0)
            up = forehead * np.array([across[1], -across[0]])
            hulls += [points, points[17:27] + up]
    return _hull(np.concatenate(hulls))


def _hull(points: Float64Array) -> Float64Array:
    return np.asarray(points[spatial.ConvexHull(points).vertices])


def fill(polygon: Float64Array, size: tuple[int, int]) -> BoolArray:
    """[height, width] of a size (width, height), true inside a polygon of pixel-edge coordinates."""
    picture = Image.new("1", size)
    ImageDraw.Draw(picture).polygon([(x - 0.5, y - 0.5) for x, y in polygon.tolist()], fill=1)
    return np.asarray(picture)


def _discs(centres: Sequence[Float64Array], radius: float, size: tuple[int, int]) -> BoolArray:
    y, x = np.mgrid[: size[1], : size[0]]
    inside = [(x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= max(radius, 1.0) ** 2 for centre in centres]
    return np.asarray(np.logical_or.reduce(inside))
