"""Guides: which part of a face is to appear where, as the completion network is told."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image, ImageDraw

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.completion.holes import check_size
from latentface.errors import InputError
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop
from latentface.io.images import read_image
from latentface.networks.completion import FOLD, REGIONS, Region

_BROWS = (slice(17, 22), slice(22, 27))
_EYES = (slice(36, 42), slice(42, 48))
_BROW_WIDTH = 0.12  # of the distance between the eyes


def no_guide(side: int) -> Float32Array:
    """The planes of a guide that leaves everything to the network, for a crop of a side: [REGIONS, S / 4, S / 4]."""
    return np.zeros((REGIONS, side // FOLD, side // FOLD), np.float32)


def region_planes(landmarks: Float64Array, side: int) -> Float32Array:
    """The planes of a face with these landmarks [68, 2], in pixels of a crop: float32 [REGIONS, S / 4, S / 4]."""
    cells = side // FOLD
    points = (landmarks + 0.5) / FOLD - 0.5
    unit = float(np.linalg.norm(points[42:48].mean(0) - points[36:42].mean(0)))
    planes = no_guide(side)
    eyes = np.stack([points[part].mean(0) for part in _EYES])
    up = np.array([eyes[1, 1] - eyes[0, 1], eyes[0, 0] - eyes[1, 0]])  # an inter-ocular distance upwards
    forehead = points[26:16:-1] + 0.35 * up
    shapes = {
        Region.FACE: [np.concatenate([points[:17], forehead])],
        Region.EYES: [points[part] for part in _EYES],
        Region.NOSE: [np.concatenate([points[27:28], points[31:36]])],
        Region.LIPS: [points[48:60]],
        Region.MOUTH: [points[60:68]],
    }
    for region, polygons in shapes.items():
        planes[region] = _filled(polygons, cells)
    planes[Region.BROWS] = _lines([points[part] for part in _BROWS], cells, max(1, round(_BROW_WIDTH * unit)))
    planes[Region.LIPS] *= 1 - planes[Region.MOUTH]
    return planes


def _filled(polygons: list[Float64Array], cells: int) -> Float32Array:
    picture = Image.new("1", (cells, cells))
    pen = ImageDraw.Draw(picture)
    for polygon in polygons:
        pen.polygon([(x, y) for x, y in polygon.tolist()], fill=1)
    return np.asarray(picture).astype(np.float32)


def _lines(lines: list[Float64Array], cells: int, width: int) -> Float32Array:
    picture = Image.new("1", (cells, cells))
    pen = ImageDraw.Draw(picture)
    for line in lines:
        pen.line([(x, y) for x, y in line.tolist()], fill=1, width=width)
    return np.asarray(picture).astype(np.float32)


#: The colours in which a picture of regions is painted; black says nothing.
COLOURS: dict[Region, tuple[int, int, int]] = {
    Region.FACE: (255, 200, 160),
    Region.BROWS: (128, 64, 0),
    Region.EYES: (0, 128, 255),
    Region.NOSE: (255, 255, 0),
    Region.LIPS: (255, 0, 0),
    Region.MOUTH: (255, 255, 255),
}


def read_guide(regions: str | os.PathLike[str] | Pixels, size: tuple[int, int], crop: FaceCrop) -> Float32Array:
    """The guide that a painted picture of regions gives: [REGIONS, S / 4, S / 4].

    What is painted stands for the whole of its region, in place of where the face's landmarks have it; all else is as
    these have it. Lips without the inside of a mouth are closed.

    Args:
        regions: a picture of the photo's size, in `COLOURS` on black, as a file or uint8 RGB [H, W, 3].
        size: of the photo, (height, width).
        crop: the face.

    Raises:
        InputError: the picture cannot be read, has another size, or nothing is painted in it.
    """
    painted = read_image(regions) if isinstance(regions, str | os.PathLike) else regions
    check_size(painted.shape, size, "picture of regions")
    palette = np.array([(0, 0, 0), *COLOURS.values()], np.int64)
    image = crop_face(painted, crop.landmarks, crop.size).image.astype(np.int64)
    nearest = ((image[:, :, None] - palette) ** 2).sum(axis=3).argmin(axis=2)
    if not nearest.any():
        names = ", ".join(f"{region.name.lower()} {colour}" for region, colour in COLOURS.items())
        raise InputError(f"nothing is painted in the regions; paint {names} on black")
    planes = region_planes(crop.crop_landmarks, crop.size)
    for number, region in enumerate(COLOURS, 1):
        if region is Region.FACE or not (nearest == number).any():
            continue
        share = (nearest == number).reshape(crop.size // FOLD, FOLD, -1, FOLD).mean(axis=(1, 3))
        planes[region] = share >= 0.5
    if (nearest == 1 + list(COLOURS).index(Region.LIPS)).any() and not (nearest == len(COLOURS)).any():
        planes[Region.MOUTH] = 0
    return planes
