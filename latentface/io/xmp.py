"""XMP packets of other programs: they are read and kept, with this program's own statements added.

A packet is kept as text: properties that this program replaces are removed, its own description is inserted, and the
rest stays byte for byte. Packets that are not plain XML, or declare entities, are dropped.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from latentface.io.provenance import COMPOSITE, GENERATED, SourceType, description, xmp_packet

_DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
_KIND = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
_TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"
_MANIFEST = "{http://purl.org/dc/terms/}provenance"
_RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
#: Properties that become wrong when a picture is turned and rewritten: orientation, size, and appended parts.
_STALE = (
    r"tiff:(?:Orientation|ImageWidth|ImageLength)",
    r"exif:Pixel[XY]Dimension",
    r"GCamera:\w+",
    r"Container:\w+",
    r"hdrgm:\w+",
    r"HDRGainMap:\w+",
)
_OURS, _CLAIM = (r"xmp:CreatorTool",), (r"\w+:DigitalSourceType",)
#: Where a packet begins and ends; the outer element may be missing (XMP specification part 1, 7.3.3).
_BOUNDS = ((b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>"))
_PNG_KEY = b"XML:com.adobe.xmp"
_LARGEST = 4 << 20  # bytes of a packet


def readable(packet: object) -> bytes | None:
    """A packet that Pillow returned, as bytes, if it can be kept; None otherwise."""
    data = packet.encode() if isinstance(packet, str) else packet
    if not isinstance(data, bytes) or len(data) > _LARGEST or b"</rdf:RDF>" not in data:
        return None
    data = data.strip(b"\0 \r\n")
    return data if _tree(data) is not None else None


def _tree(packet: bytes) -> ElementTree.Element | None:
    if b"<!" in packet.replace(b"<![CDATA[", b"").replace(b"<!--", b""):
        return None
    for opening, closing in _BOUNDS:
        start, end = packet.find(opening), packet.rfind(closing)
        if start >= 0:
            try:
                return ElementTree.fromstring(packet[start : end + len(closing)].decode())
            except (ElementTree.ParseError, UnicodeDecodeError):
                return None
    return None


def merged(packet: bytes | None, source_type: SourceType | None) -> str:
    """The packet of a written file: that of the photo, with this program's statements.

    packet: a result of `readable`. An edited picture that was generated keeps that claim; if the source type is unknown
    (None), the photo's own claim is kept.
    """
    if packet is None:
        return xmp_packet(source_type)
    if source_type == COMPOSITE and claimed(packet) == GENERATED:
        source_type = GENERATED
    text = packet.decode()
    for name in (*_STALE, *_OURS, *(_CLAIM if source_type is not None else ())):
        text = _without(text, name)
    text = re.sub(r"\s*(<\?xpacket end=)", r"\1", text)  # room for later changes, kilobytes of it
    before, closing, after = text.rpartition("</rdf:RDF>")
    return f"{before}{description(source_type)}{closing}{after}"


def _without(text: str, name: str) -> str:
    """The packet without a property, be it an attribute or an element."""
    text = re.sub(rf"<({name})(?=[\s/>])[^<>]*/>", "", text)
    text = re.sub(rf"<({name})(?=[\s>])[^<>]*>.*?</\1\s*>", "", text, flags=re.DOTALL)
    return re.sub(rf"\s{name}\s*=\s*(\"[^\"]*\"|'[^']*')", "", text)


def claimed(packet: bytes) -> str | None:
    """The IPTC term of a packet's `DigitalSourceType`, such as `trainedAlgorithmicMedia`; None without one."""
    term = _property(packet, _KIND)
    return None if term is None else term.strip().rstrip("/").rsplit("/", 1)[-1] or None


def creator(packet: bytes) -> str | None:
    """The program that a packet names."""
    return _property(packet, _TOOL)


def manifest_address(packet: bytes) -> str | None:
    """Where a packet says that the Content Credentials are (C2PA specification 2.4, 11.5); None if it does not."""
    return _property(packet, _MANIFEST)


def _property(packet: bytes, name: str) -> str | None:
    """The last value of a property, as other programs would find it."""
    tree = _tree(packet)
    found = None
    for each in () if tree is None else tree.iter(_DESCRIPTION):
        child = each.find(name)
        if child is not None:
            found = child.get(_RESOURCE) or child.text
        found = each.get(name) or found
    return found


def find_packet(path: Path) -> bytes | None:
    """The first XMP packet in a file of any kind; None if there is none that can be read."""
    if not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for opening, closing in _BOUNDS:
            start = data.find(opening)
            end = data.find(closing, start) if start >= 0 else -1
            if end > 0:
                return readable(data[start : end + len(closing)])
        return _compressed(path) if data.find(_PNG_KEY) >= 0 else None


def _compressed(path: Path) -> bytes | None:
    """The packet of a PNG file that compresses it."""
    try:
        with Image.open(path) as image:
            return readable(image.text.get(_PNG_KEY.decode())) if isinstance(image, PngImageFile) else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # broken, which is not told here
        return None
