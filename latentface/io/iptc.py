"""IPTC data (IIM) of a picture: captions, credits and rights, as agencies write them; kept as one block of bytes."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

_RESOURCE = 0x0404  # of Photoshop's resources
_TIFF_TAG = 33723
_PHOTOSHOP = b"Photoshop 3.0\0"
_SEGMENT = 65533 - len(_PHOTOSHOP) - 12
#: The name under which PNG files hold the block in hexadecimal digits, a convention of ImageMagick.
PNG_KEY = "Raw profile type iptc"


def read_iptc(image: Image.Image) -> bytes | None:
    """The IPTC block of a JPEG, TIFF or PNG file; None without one."""
    resources = image.info.get("photoshop")
    block = resources.get(_RESOURCE) if isinstance(resources, dict) else None
    if block is None:
        block = getattr(image, "tag_v2", {}).get(_TIFF_TAG)
        block = block if isinstance(block, bytes) else _of_png(image.info.get(PNG_KEY))
    return block.rstrip(b"\0") if isinstance(block, bytes) and block[:1] == b"\x1c" else None


def find_iptc(path: Path) -> bytes | None:
    """The IPTC block of a file of any kind; None if there is none that can be read."""
    try:
        with Image.open(path) as image:
            return read_iptc(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # no picture, or one that is broken
        return None


def _of_png(text: object) -> bytes | None:
    """The block of hexadecimal digits after the name and the length, if need be within Photoshop's resources."""
    match = re.fullmatch(r"\s*\w+\s+(\d+)\s+([0-9a-fA-F\s]+)", text) if isinstance(text, str) else None
    if match is None:
        return None
    digits = "".join(match[2].split())
    data = bytes.fromhex(digits) if len(digits) % 2 == 0 else b""
    marker = data.find(b"8BIM\x04\x04")
    if marker < 0:
        return data
    length = int.from_bytes(data[marker + 8 : marker + 12], "big")
    return data[marker + 12 : marker + 12 + length]


def jpeg_segment(block: bytes) -> bytes:
    """The segment APP13 of a JPEG that holds the block; empty for a block that is too large for one."""
    if len(block) > _SEGMENT:
        return b""
    resource = b"8BIM\x04\x04\0\0" + len(block).to_bytes(4, "big") + block + b"\0" * (len(block) % 2)
    content = _PHOTOSHOP + resource
    return b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content


def png_text(block: bytes) -> str:
    """The text of a PNG file that holds the block."""
    digits = block.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\niptc\n{len(block):8d}\n{lines}\n"
