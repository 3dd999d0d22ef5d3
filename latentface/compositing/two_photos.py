"""Two photos of faces blended along a mask, after the faces were laid over each other by their landmarks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.compositing.blending import blend_alpha, blend_poisson, pyramid_levels, spline
from latentface.compositing.warping import fit_similarity, resample, warp_piecewise
from latentface.errors import InputError, UsageError
from latentface.faces.crop import inter_ocular, map_points
from latentface.options.photos import SPLITS, BlendOptions


def blend_photos(
    first: Pixels, second: Pixels, points: tuple[Float64Array, Float64Array], region: BoolArray,
    options: BlendOptions | None = None,
) -> Pixels:  # fmt: skip
    """The first photo, with the second one in a region.

    The multiresolution spline (Burt and Adelson 1983) mixes each frequency over a distance of its own wavelength, so
    that neither edges are doubled nor a seam is visible.

    Args:
        first: uint8 RGB [H, W, 3].
        second: uint8 RGB of any size; its face is moved, turned and scaled to that of the first.
        points: landmarks [68, 2] of the faces, each in its own photo.
        region: bool [H, W], where the second photo is to appear. Where it does not reach, the first remains.
        options: how; by default `BlendOptions()`.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        UsageError: the region is of another shape.
        InputError: nothing of the second photo lies in the region.
    """
    options = options or BlendOptions()
    if region.shape != first.shape[:2]:
        raise UsageError(f"region of shape {list(region.shape)}: expected {list(first.shape[:2])}, as the first photo")
    base = first.astype(np.float32)
    patch, covered = _laid_over(second, points[1], points[0], first.shape[:2], options.align == "piecewise")
    region = region & covered
    if not region.any():
        raise InputError("nothing of the second photo lies in the mask; give a mask over the face of the first photo")
    patch = np.where(covered[..., None], patch, base)
    if options.blend == "multiband":
        mixed = spline(base, patch, region.astype(np.float32), pyramid_levels(region.shape))
    elif options.blend == "poisson":
        mixed = blend_poisson(base, patch, region.astype(np.float32))
    else:
        width = options.feather * inter_ocular(points[0])
        mixed = blend_alpha(base, patch, ndimage.gaussian_filter(region.astype(np.float32), width))
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def split_region(landmarks: Float64Array, size: tuple[int, int], side: str) -> BoolArray:
    """One side of a face, bool [H, W]: to the left or right of its middle line, or above or below its nose.

    Args:
        landmarks: [68, 2].
        size: height and width of the photo.
        side: `left`, `right`, `top` or `bottom` of the picture.

    Raises UsageError for another side.
    """
    if side not in SPLITS:
        raise UsageError(f"split {side!r}: expected {', '.join(SPLITS)}")
    down = landmarks[8] - landmarks[27]  # from the bridge of the nose to the chin
    across = np.array([down[1], -down[0]])
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    if side in ("left", "right"):
        height = (np.stack([x, y], -1) - landmarks[27]) @ across
    else:
        height = (np.stack([x, y], -1) - landmarks[33]) @ down
    return np.asarray(height > 0 if side in ("right", "bottom") else height < 0)


def _laid_over(
    second: Pixels, points: Float64Array, target: Float64Array, size: tuple[int, int], piecewise: bool
) -> tuple[Float32Array, BoolArray]:
    """The second photo in the frame of the first, [H, W, 3], and where it has pixels."""
    height, width = second.shape[:2]
    side = max(height, width)
    square = np.pad(second, ((0, side - height), (0, side - width), (0, 0)), mode="edge")
    matrix = fit_similarity(points, target)
    box = (0, 0, size[1], size[0])
    patch = resample(square, matrix, box)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    at = map_points(np.linalg.inv(matrix), np.stack([x, y], -1).reshape(-1, 2)).reshape(*size, 2)
    covered = ((at >= 0) & (at <= (width - 1, height - 1))).all(2)
    if piecewise:
        moved = warp_piecewise(np.rint(patch).clip(0, 255).astype(np.uint8), map_points(matrix, points), target)
        patch = moved.astype(np.float32)
    return patch, np.asarray(covered)
