"""What a written file says of its origin, read by other programs' rules: Pillow, PyAV and the XMP packet's own XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import av
from PIL import Image

TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
KIND = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"


def packet_of(path: Path) -> bytes:
    """The XMP packet of a picture or clip; of a folder of frames, that of its first."""
    if path.is_dir():
        return packet_of(min(path.iterdir()))
    suffix = path.suffix.lower()
    if suffix == ".mp4":
        return _of_mp4(path)
    if suffix == ".webm":
        with av.open(str(path)) as container:
            return container.metadata["XMP"].encode()
    if suffix == ".gif":
        _, found, tail = path.read_bytes().partition(b"\x21\xff\x0bXMP DataXMP")
        assert found and tail.endswith(b"\x01" + bytes(range(255, -1, -1)) + b"\x00\x3b")
        return tail[:-259]
    with Image.open(path) as image:
        image.load()
        packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
    return packet if isinstance(packet, bytes) else packet.encode()


def mark_of(path: Path) -> str | None:
    """The IPTC term of a file's DigitalSourceType, or None for a file that claims nothing; both name their program."""
    (description,) = ElementTree.fromstring(packet_of(path).strip(b"\0")).iter(DESCRIPTION)
    assert description.attrib[TOOL].startswith("latentface ")
    term = description.attrib.get(KIND)
    assert term is None or term.startswith(TERMS)
    return None if term is None else term.removeprefix(TERMS)


def _of_mp4(path: Path) -> bytes:
    data, at = path.read_bytes(), 0
    while at < len(data):  # top-level boxes
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"uuid" and data[at + 8 : at + 24] == XMP_BOX:
            return data[at + 24 : at + size]
        at += size
    return b""
