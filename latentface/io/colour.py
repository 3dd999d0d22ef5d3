"""Colour management: photos keep their own profile; clips and networks work in sRGB.

A photo keeps its pixels and its profile, so that unedited parts do not change. Networks get crops in sRGB, and the
pixels that they synthesise are converted to the profile of the photo (`convert`). Clips and contact sheets have no
profile; their colours are sRGB, to which `srgb` converts a photo. Grey and CMYK pictures are converted to sRGB when
they are read (relative colorimetric, ICC.1:2022), since they are RGB from then on.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from latentface.arrays import Pixels

if TYPE_CHECKING:
    from latentface.io.images import Photo

UNREADABLE = "its colour profile cannot be read; its colours are taken for sRGB"
_BAND = 256  # rows
_ALIKE = 2  # of 255: the sRGB profiles of different cameras and programs differ by as much


def srgb(photo: Photo) -> Photo:
    """The photo converted to sRGB, without a profile; unchanged if it is in sRGB already or has no profile."""
    if photo.icc is None:
        return photo
    if _to_srgb(photo.icc, "RGB") is None:
        return replace(photo, icc=None, notes=(*photo.notes, UNREADABLE))
    return replace(photo, rgb=convert(photo.rgb, photo.icc), icc=None)


def convert(rgb: Pixels, icc: bytes | None, wanted: bytes | None = None) -> Pixels:
    """Convert pixels uint8 RGB [H, W, 3] from one profile to another; unchanged if both profiles are equivalent.

    No profile, or one that cannot be read, stands for sRGB.
    """
    transform = None if icc == wanted else _between(icc, wanted)
    return rgb if transform is None else _apply(transform, rgb)


def read_in_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert a grey or CMYK picture to sRGB (or sRGB's grey) by its profile, with notes; others are unchanged."""
    kind = {"L": "GRAY", "LA": "GRAY", "CMYK": "CMYK"}.get(image.mode)
    if kind is None or not icc:
        return image, ()
    transform = _to_srgb(icc, "L" if kind == "GRAY" else "CMYK")
    if transform is None:
        return image, (UNREADABLE,)
    if kind == "CMYK":
        return _applied(transform, image), ()
    ramp = np.asarray(_applied(transform, Image.fromarray(np.arange(256, dtype=np.uint8)[None])), np.float64)
    levels = np.rint(ramp.mean(2)).astype(np.uint8).ravel().tolist()  # one for all channels: grey stays grey
    same = list(range(256))
    return image.point(levels if image.mode == "L" else levels + same), ()


@functools.lru_cache(maxsize=8)
def _to_srgb(icc: bytes, mode: str) -> Any:
    """Pillow's transform from a profile to sRGB; None for a profile that is damaged or of another colour space."""
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        return ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@functools.lru_cache(maxsize=8)
def _between(icc: bytes | None, wanted: bytes | None) -> Any:
    """Pillow's transform from one profile to another; None if it hardly changes a lattice of colours."""
    from PIL import ImageCms

    def profile(icc: bytes | None) -> ImageCms.ImageCmsProfile:
        known = icc if icc and _to_srgb(icc, "RGB") is not None else None
        return ImageCms.ImageCmsProfile(BytesIO(known) if known else ImageCms.createProfile("sRGB"))

    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(profile(icc), profile(wanted), "RGB", "RGB", intent)
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(27, 27, 3)
    alike = np.abs(_apply(transform, lattice).astype(int) - lattice).max() <= _ALIKE
    return None if alike else transform


def _apply(transform: Any, rgb: Pixels) -> Pixels:
    """uint8 RGB [H, W, 3] after a transform, in bands of rows: large photos are not copied several times."""
    made = np.empty_like(rgb)
    for top in range(0, len(rgb), _BAND):
        band = Image.fromarray(np.ascontiguousarray(rgb[top : top + _BAND]))
        made[top : top + _BAND] = np.asarray(_applied(transform, band))
    return made


def _applied(transform: Any, image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    made = ImageCms.applyTransform(image, transform)
    assert made is not None, "a new image is made unless it is asked for in place"
    return made
