"""What is to be completed: a mask or a box over a photo, as bool [H, W]."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float64Array
from latentface.errors import InputError, UsageError
from latentface.faces.regions import fill, outline
from latentface.io.images import read_image

MOST_OF_FACE = 0.97  # a mask over as much of a face leaves nothing that says whose it is

Mask = str | os.PathLike[str] | npt.NDArray[Any]


def read_hole(mask: Mask, size: tuple[int, int]) -> BoolArray:
    """A mask for a photo of a size (height, width): true where the photo is to be completed.

    Args:
        mask: a picture file or an array [H, W] or [H, W, 3]; bool, uint8 (128 and above is the hole) or floating point
            (0.5 and above is).
        size: of the photo.

    Raises:
        InputError: the file cannot be read, or the mask is of another size, empty, over everything, or not finite.
        UsageError: an array of another kind.
    """
    values = np.asarray(read_image(mask) if isinstance(mask, str | os.PathLike) else mask)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or values.dtype.kind not in "buf":
        raise UsageError(f"a mask of {values.dtype} {list(values.shape)}; expected bool, uint8 or float [H, W]")
    check_size(values.shape, size, "mask")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("the mask contains NaN or infinity; expected numbers from 0 to 1")
    grey = values.mean(axis=2) if values.ndim == 3 else values
    hole = grey.astype(bool) if grey.dtype.kind == "b" else grey >= (0.5 if values.dtype.kind in "fb" else 128)
    return check_hole(np.asarray(hole))


def box_hole(box: Sequence[float], size: tuple[int, int]) -> BoolArray:
    """A box (left, top, right, bottom) in pixels of a photo of a size (height, width) as a mask.

    Raises:
        InputError: the box is empty or lies outside the photo.
        UsageError: it is not four finite numbers.
    """
    if len(box) != 4 or not np.isfinite(box).all():
        raise UsageError(f"a box is left, top, right and bottom in pixels, got {list(box)}")
    left, top, right, bottom = (round(value) for value in box)
    height, width = size
    hole = np.zeros(size, bool)
    if left >= right or top >= bottom or right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise InputError(f"the box {left},{top},{right},{bottom} holds no pixel of the photo, {width} x {height}")
    hole[max(top, 0) : bottom, max(left, 0) : right] = True
    return check_hole(hole)


def check_size(shape: Sequence[int], size: tuple[int, int], what: str) -> None:
    """Raise InputError unless a picture of this shape [H, W, ...] has the photo's size (height, width)."""
    if tuple(shape[:2]) != size:
        (height, width), (rows, columns) = size, shape[:2]
        raise InputError(
            f"the {what} has {columns} x {rows} pixels and the photo {width} x {height}; give a {what} of the photo's "
            "size"
        )


def check_hole(hole: BoolArray) -> BoolArray:
    """The mask itself; InputError if it marks nothing or everything."""
    if not hole.any():
        raise InputError("the mask marks nothing; paint white what is to be completed")
    if hole.all():
        raise InputError("the mask marks the whole photo; leave what is to be kept black")
    return hole


def check_face(hole: BoolArray, landmarks: Float64Array) -> None:
    """Raise InputError if a mask hides all of a face, by its landmarks [68, 2] in pixels of the photo."""
    face = fill(outline([landmarks], 0.3), (hole.shape[1], hole.shape[0]))
    if face.any() and float(hole[face].mean()) > MOST_OF_FACE:
        raise InputError("the mask hides the whole face, and nothing would say whose it is; leave some of it")


def grown(hole: BoolArray, pixels: float) -> BoolArray:
    """The mask and all that is nearer to it than so many pixels."""
    if pixels < 1:
        return hole
    return np.asarray(ndimage.distance_transform_edt(~hole) <= pixels)
