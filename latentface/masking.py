"""Soft masks and colour fields of the compositor: where the face is, what covers it, what an edit changed.

Lengths are in pixels unless they are said to be in inter-ocular distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage, spatial

from latentface.blending import Floats
from latentface.face import Array, inter_ocular

_EXPRESSIVE = (slice(17, 27), slice(36, 42), slice(42, 48), slice(48, 60))  # brows, eyes, mouth
SMALL_SIDE = 256  # masks and colour fields are smooth: they are computed on at most this many pixels a side
_COLOUR_REACH = 0.6  # inter-ocular distances: how far a colour difference at the seam is carried inwards
_COLOUR_SIDE = 64  # enough for a field as smooth as that
_EXPRESSIVE_REACH = 0.15  # inter-ocular distances
_SKIN_LIMIT = 4.0  # Mahalanobis distance from the skin's colour beyond which a pixel is something else
_CHANGED = (0.02, 0.08)  # of the range: below the first an edit changed nothing, above the second it did


def uncovered(base: Floats, landmarks: Array, unit: float) -> Floats:
    """1 where a photo's region [H, W, 3] shows skin or features, falling to 0 where hair or a hand lies over the face.

    Told by colour: lightness, red minus green and yellow minus blue are compared with their robust mean and spread on
    cheeks and nose; a hand of the same colour as the face is not seen. landmarks: [68, 2] in the region's pixels;
    unit: their inter-ocular distance.
    """

    def judge(small: Floats, scale: float) -> Floats:
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

    return _small(judge, base)


def visible_share(image: NDArray[np.uint8], landmarks: Array) -> float:
    """Share of a face's outline in a crop [S, S, 3] that nothing covers, by `uncovered`. landmarks: [68, 2], pixels."""
    face = fill(outline([landmarks], 0.0), (image.shape[1], image.shape[0]))
    return float(uncovered(image.astype(np.float32), landmarks, inter_ocular(landmarks))[face].mean())


def expressive_region(landmarks: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """[height, width], true on brows, eyes and mouth and a little around them. landmarks: [68, 2] in pixels."""
    reach = max(1, round(_EXPRESSIVE_REACH * inter_ocular(landmarks)))
    features = np.logical_or.reduce([fill(landmarks[part], size) for part in _EXPRESSIVE])
    return np.asarray(ndimage.binary_dilation(features, iterations=reach))


def changed(difference: Floats, unit: float) -> Floats:
    """How much of an edit to take, [H, W]: 0 where it changes nothing, 1 where it does, wide enough for no ghosts."""

    def judge(small: Floats, scale: float) -> Floats:
        change = ndimage.gaussian_filter(np.abs(small).mean(-1) / 255, 0.03 * unit * scale)
        reach = max(1, round(0.12 * unit * scale))
        change = ndimage.maximum_filter(change, footprint=_ball(reach))
        low, high = _CHANGED
        return np.asarray(ndimage.gaussian_filter(smoothstep((change - low) / (high - low)), 0.06 * unit * scale))

    return _small(judge, difference)


def blur(field: Floats, sigma: float, side: int = SMALL_SIDE) -> Floats:
    """A field [H, W, C] under a Gaussian, computed on a copy of at most `side` pixels a side."""

    def smooth(small: Floats, scale: float) -> Floats:
        return np.asarray(ndimage.gaussian_filter(small, (sigma * scale, sigma * scale, 0)))

    return _small(smooth, field, side)


def seam_difference(difference: Floats, mask: Floats, unit: float) -> Floats:
    """A difference [H, W, 3] at the soft edge of the mask, carried smoothly inwards (normalised convolution)."""
    seam = (4 * mask * (1 - mask))[..., None]
    fields = np.concatenate([seam * difference, seam], axis=-1)
    spread = blur(fields, _COLOUR_REACH * unit, _COLOUR_SIDE)
    return np.asarray(spread[..., :3] / np.maximum(spread[..., 3:], 1e-4))


def _small(work: Callable[[Floats, float], Floats], field: Floats, side: int = SMALL_SIDE) -> Floats:
    """Do smooth work on a copy of [H, W, C] of at most `side` pixels a side; work also gets the copy's scale."""
    shape = field.shape[:2]
    scale = min(1.0, side / max(shape))
    small = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    return resize(work(resize(field, small), scale), shape)


def resize(field: Floats, shape: Sequence[int]) -> Floats:
    """[H, W] or [H, W, C] at another size: means when it shrinks, bilinear when it grows."""
    if field.shape[:2] == tuple(shape):
        return field
    if field.ndim == 3:
        return np.stack([resize(field[..., c], shape) for c in range(field.shape[2])], axis=-1)
    method = Image.Resampling.BOX if shape[0] < field.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(field, np.float32)).resize((shape[1], shape[0]), method))


def outline(faces: Sequence[Array | None], forehead: float) -> Array:
    """The convex hull of faces' landmarks [68, 2], with brows raised by `forehead` inter-ocular distances."""
    hulls = []
    for points in faces:
        if points is not None:
            across = points[42:48].mean(0) - points[36:42].mean(0)
            up = forehead * np.array([across[1], -across[0]])
            hulls += [points, points[17:27] + up]
    return _hull(np.concatenate(hulls))


def _hull(points: Array) -> Array:
    return np.asarray(points[spatial.ConvexHull(points).vertices])


def fill(polygon: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """[height, width] of a size (width, height), true inside a polygon of pixel-edge coordinates."""
    picture = Image.new("1", size)
    ImageDraw.Draw(picture).polygon([(x - 0.5, y - 0.5) for x, y in polygon.tolist()], fill=1)
    return np.asarray(picture)


def _discs(centres: Sequence[Array], radius: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    y, x = np.mgrid[: size[1], : size[0]]
    inside = [(x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= max(radius, 1.0) ** 2 for centre in centres]
    return np.asarray(np.logical_or.reduce(inside))


def _ball(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x**2 + y**2 <= radius**2)


def smoothstep(t: NDArray[np.floating]) -> Floats:
    """0 up to 0, 1 from 1 on, 3 t^2 - 2 t^3 between."""
    t = t.clip(0, 1).astype(np.float32)
    return np.asarray(t * t * (3 - 2 * t))
