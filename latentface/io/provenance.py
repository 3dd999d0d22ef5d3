"""The origin that is stated in written files, and where each file format stores it.

The statement travels with the pixels: code that knows where pixels come from sets `source_type` of the `Photo` or
`Clip` that it returns, and the writers store it in the file:

- `GENERATED` (IPTC trainedAlgorithmicMedia): every pixel was synthesised by a network, as in samples, in the picture of
  a projection and in what an edit gives with `crop`.
- `COMPOSITE` (IPTC compositeWithTrainedAlgorithmicMedia): a photo that a network changed in part: edits, transfers,
  animations and videos of photos, and sheets that show the two side by side.
- None: no network made any pixel (photos as they were read, crops of them, renderings of 3D heads) or nothing is known
  of the pixels, as of a bare array. The file then names the program alone, and claims nothing.

Every file names the program that wrote it. The packet is XMP: PNG, JPEG and WebP pictures take it through Pillow, MP4
and MOV in a `uuid` box after the last one (XMP specification part 3, 1.1.5), GIF in an application extension before its
trailer (1.1.2), animated WebP in a chunk of its own that the header announces, Matroska in a tag.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final, Literal

SourceType = Literal["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"]

COMPOSITE: Final[SourceType] = "compositeWithTrainedAlgorithmicMedia"
GENERATED: Final[SourceType] = "trainedAlgorithmicMedia"

TERMS: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MP4_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_GIF_HEADER = b"\x21\xff\x0bXMP DataXMP"
_GIF_TAIL = bytes([1, *range(255, -1, -1), 0])  # makes any decoder that counts block lengths land at the end
_WEBP_XMP_FLAG, _WEBP_ALPHA_FLAG = 0x04, 0x10


def software() -> str:
    """The program and its version, as files name them."""
    from latentface._version import __version__

    return f"latentface {__version__}"


def description(source_type: SourceType | None) -> str:
    """The part of an XMP packet that names the program and, unless it is None, the source type."""
    kind = "" if source_type is None else f' Iptc4xmpExt:DigitalSourceType="{TERMS}{source_type}"'
    return (
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmlns:xmp="http://ns.adobe.com/xap/1.0/"{kind} xmp:CreatorTool="{software()}"/>'
    )


def xmp_packet(source_type: SourceType | None) -> str:
    """The XMP packet of a picture or clip that has none of its own; source_type: as for `description`."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'{description(source_type)}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def tags(container: str, source_type: SourceType | None, packet: str) -> dict[str, str]:
    """Tags of a clip that any player shows; the comment names the kind of media by its IPTC term. packet: its XMP."""
    kind = "" if source_type is None else f"DigitalSourceType: {source_type}; "
    found = {"comment": f"{kind}Software: {software()}"}
    if container == "webm":
        found |= {"SOFTWARE": software(), "XMP": packet}
        if source_type is not None:
            found["DIGITALSOURCETYPE"] = source_type
    return found


def stamp(path: Path, packet: str) -> None:
    """Put an XMP packet into a finished .mp4, .gif or .webp file; other kinds are left as they are."""
    embed = {".mp4": _into_mp4, ".gif": _into_gif, ".webp": _into_webp}.get(path.suffix.lower())
    if embed is not None:
        embed(path, packet.encode())


def _into_mp4(path: Path, packet: bytes) -> None:
    with path.open("ab") as file:
        file.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + _MP4_UUID + packet)


def _into_gif(path: Path, packet: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)  # the trailer, 0x3b
        file.write(_GIF_HEADER + packet + _GIF_TAIL + b"\x3b")


def _into_webp(path: Path, packet: bytes) -> None:
    """Add the chunk. A file of one frame may be a bare picture: it gets the header that announces further chunks."""
    with path.open("r+b") as file:
        header = bytearray(file.read(12))  # RIFF, size, WEBP
        first = file.read(18)  # the first chunk's name and size, and ten bytes of it
        if first[:4] == b"VP8X":
            file.seek(20)
            file.write(bytes([first[8] | _WEBP_XMP_FLAG]))
        else:
            file.seek(12)
            picture = file.read()
            file.seek(12)
            file.write(_extended_header(first) + picture)
        file.seek(0, os.SEEK_END)
        file.write(b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2))
        header[4:8] = struct.pack("<I", file.tell() - 8)
        file.seek(0)
        file.write(header)


def _extended_header(first: bytes) -> bytes:
    """The VP8X chunk of a bare WebP picture, by the first 18 bytes of its chunk (RFC 9649, 2.5 to 2.7)."""
    flags = _WEBP_XMP_FLAG
    if first[:4] == b"VP8L":
        (bits,) = struct.unpack("<I", first[9:13])
        width, height = bits & 0x3FFF, bits >> 14 & 0x3FFF  # both less one
        flags |= (bits >> 28 & 1) * _WEBP_ALPHA_FLAG
    else:  # VP8: three bytes of the frame, three of a start code, then both sides of 14 bits
        width, height = ((side & 0x3FFF) - 1 for side in struct.unpack("<HH", first[14:18]))
    return b"VP8X" + struct.pack("<IB3xHxHx", 10, flags, width, height)
