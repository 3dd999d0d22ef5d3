"""Recognises kinds of files by their content, whatever their suffix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

PictureKind = Literal["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC"]

#: Suffixes by which clips are found in folders.
CLIP_SUFFIXES: Final = frozenset(
    (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".3gp")
)
#: The kinds of pictures that can hold an animation.
CAN_MOVE: Final = frozenset(("GIF", "PNG", "WEBP"))
_BEGINNINGS: tuple[tuple[bytes, PictureKind], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    *((mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_ENOUGH = 32  # bytes


def picture_kind(head: bytes) -> PictureKind | None:
    """The kind of picture by the first 32 bytes of a file; None if it is not a picture, or of a rare kind."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[6:10] == bytes(4):  # two letters begin many texts; the reserved zeros do not follow
        return "BMP"
    if head[4:8] == b"ftyp":  # for a HEIF file with the generic brand mif1, the list of compatible brands is decisive
        brands = (head[8:12], *(head[k : k + 4] for k in range(16, len(head) - 3, 4)))
        if head[8:12] in (*_AVIF_BRANDS, b"mif1", b"msf1") and any(brand in _AVIF_BRANDS for brand in brands):
            return "AVIF"
        return "HEIC" if head[8:12] in _HEIC_BRANDS else None
    return None


def picture_kind_of(path: str | os.PathLike[str]) -> PictureKind | None:
    """The kind of picture by the content of a file; None also if the file is missing or cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return picture_kind(file.read(_ENOUGH))
    except (OSError, ValueError):
        return None
