"""What a clip file says of its origin: the XMP packet of `images`, put where each container keeps one.

MP4 and MOV take a `uuid` box after the last one (XMP specification part 3, 1.1.5), GIF an application extension
before its trailer (1.1.2), WebP a chunk of its own that the header announces. Matroska has tags; see `encoding`.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from latentface.io.images import SourceType, xmp_packet

_MP4_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_GIF_HEADER = b"\x21\xff\x0bXMP DataXMP"
_GIF_TAIL = bytes([1, *range(255, -1, -1), 0])  # makes any decoder that counts block lengths land at the end
_WEBP_XMP_FLAG = 0x04


def stamp(path: Path, source_type: SourceType) -> None:
    """Put the XMP packet into a finished .mp4, .gif or .webp file; other kinds are left as they are."""
    embed = {".mp4": _into_mp4, ".gif": _into_gif, ".webp": _into_webp}.get(path.suffix.lower())
    if embed is not None:
        embed(path, xmp_packet(source_type).encode())


def _into_mp4(path: Path, packet: bytes) -> None:
    with path.open("ab") as file:
        file.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + _MP4_UUID + packet)


def _into_gif(path: Path, packet: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)  # the trailer, 0x3b
        file.write(_GIF_HEADER + packet + _GIF_TAIL + b"\x3b")


def _into_webp(path: Path, packet: bytes) -> None:
    with path.open("r+b") as file:
        header = bytearray(file.read(21))  # RIFF, size, WEBP, VP8X, its size, its flags
        header[20] |= _WEBP_XMP_FLAG
        file.seek(0, os.SEEK_END)
        file.write(b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2))
        header[4:8] = struct.pack("<I", file.tell() - 8)
        file.seek(0)
        file.write(header)
