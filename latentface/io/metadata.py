"""Metadata of picture files: read as far as possible; damaged metadata never prevent the picture from being read.

EXIF blocks are written by cameras, phones and programs of every quality. A block that cannot be used as a whole is read
tag by tag, and a file whose metadata stop a decoder is read again without them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from latentface.io.kinds import picture_kind
from latentface.io.provenance import software

#: Exceptions of Pillow's decoders for damaged files or metadata.
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, RuntimeError),
    *(AttributeError, struct.error),
)
JPEG_SEGMENT = 65533  # bytes: a segment's length has 16 bits and counts itself
ORIENTATION, SOFTWARE = 0x0112, 0x0131
_EXIF_IFD, _MAKER_NOTE = 0x8769, 0x927C
#: Tags of a TIFF file that describe how its own pixels are stored, or hold what is carried elsewhere.
_STRUCTURE = frozenset(
    (*range(254, 260), 262, 266, 273, *range(277, 282), 284, 317, *range(320, 326), 330, 338, 339, 347, 700, 34675)
)
LEFT_OUT = "metadata that cannot be read are left out"
_LARGE = 1024  # bytes of one value: a thumbnail, a program's settings, an archive of its own


def read_exif(image: Image.Image) -> tuple[bytes | None, int, tuple[str, ...]]:
    """The EXIF block of a picture without its orientation, the orientation (1 ... 8), and notes about lost tags."""
    try:
        exif = image.getexif()
        found = dict(exif)
    except BROKEN:
        return None, 1, (LEFT_OUT,)
    orientation = found.get(ORIENTATION, 1)
    for tag in (ORIENTATION, *(_STRUCTURE if image.format == "TIFF" else ())):
        if tag in exif:
            del exif[tag]
    turned = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    if not len(exif):
        return None, turned, ()
    try:
        return exif.tobytes(), turned, ()
    except BROKEN:
        return _sound_part(exif), turned, (LEFT_OUT,)


def _sound_part(exif: Image.Exif) -> bytes | None:
    """The tags of the block that can be written individually, without nested directories; None if there are none."""
    kept = Image.Exif()
    for tag, value in exif.items():
        alone = Image.Exif()
        alone[tag] = value
        try:
            alone.tobytes()
        except BROKEN:
            continue
        kept[tag] = value
    return kept.tobytes() if len(kept) else None


def exif_to_write(exif: bytes | None, kind: str) -> tuple[bytes, tuple[str, ...]]:
    """An EXIF block for a picture that is written: the given one, naming our program, and notes about what is lost.

    kind: Pillow's name of the format. A JPEG holds at most 65533 bytes of it: the largest values are left out.
    """
    block = Image.Exif()
    try:
        if exif:
            block.load(exif)
        block[SOFTWARE] = software()
        data = block.tobytes()
    except BROKEN:
        return _bare(), (LEFT_OUT,)
    if kind != "JPEG" or len(data) <= JPEG_SEGMENT:
        return data, ()
    for tag in sorted(block, key=lambda tag: _length(block[tag]), reverse=True):
        if len(data) > JPEG_SEGMENT and _length(block[tag]) > _LARGE:
            del block[tag]
            data = block.tobytes()
    if len(data) > JPEG_SEGMENT and block.get_ifd(_EXIF_IFD).pop(_MAKER_NOTE, None) is not None:
        data = block.tobytes()
    lost = f"a JPEG holds {JPEG_SEGMENT} bytes of EXIF data, and the photo has more: the largest values are left out"
    return (data if len(data) <= JPEG_SEGMENT else _bare()), (lost,)


def _bare() -> bytes:
    block = Image.Exif()
    block[SOFTWARE] = software()
    return block.tobytes()


def _length(value: object) -> int:
    return len(value) if isinstance(value, (bytes, str, tuple)) else 0


def without_metadata(data: bytes) -> Iterator[BytesIO]:
    """Yield a JPEG or PNG file without its metadata: first with its colour profile, then without it.

    Yields nothing for other files, and for files without metadata.
    """
    cut = {"JPEG": _plain_jpeg, "PNG": _plain_png}.get(picture_kind(data[:32]) or "")
    if cut is None:
        return
    before = data
    for profile in (True, False):
        plain = cut(data, profile)
        if plain is not None and len(plain) < len(before):
            before = plain
            yield BytesIO(plain)


def _plain_jpeg(data: bytes, profile: bool) -> bytes | None:
    """The file without its segments of EXIF, XMP, Photoshop data and comments; None for one without a scan."""
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:  # the scan, and all after it
            return b"".join((*parts, data[at:]))
        others = marker in (0xE1, 0xED, 0xFE) or (marker == 0xE2 and not profile)
        if not others:
            parts.append(data[at : at + 2 + length])
        at += 2 + length
    return None


def _plain_png(data: bytes, profile: bool) -> bytes | None:
    """The file without its chunks of text, EXIF and time; None for one that ends within a chunk."""
    dropped = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"} | (set() if profile else {b"iCCP"})
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind not in dropped:
            parts.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(parts) if at == len(data) else None
