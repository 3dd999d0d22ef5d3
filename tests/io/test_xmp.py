"""Packets of other programs: kept, completed, and told from what is none."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentface._version import __version__
from latentface.io.images import Photo, read_photo, write_photo
from latentface.io.provenance import COMPOSITE, GENERATED, TERMS, SourceType
from latentface.io.xmp import claimed, creator, find_packet, merged, readable

PACKET = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    b'tiff:Orientation="6" xmp:CreatorTool="Other"><dc:creator><rdf:Seq><rdf:li>Anna</rdf:li></rdf:Seq></dc:creator>'
    b"<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/%s"
    b"</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>" + b" " * 500 + b'<?xpacket end="w"?>'
)
CAPTURE = PACKET % b"digitalCapture"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_photos_packet_goes_through_a_file(name: str, tmp_path: Path) -> None:
    photo = Photo(np.full((16, 16, 3), 90, np.uint8), source_type=COMPOSITE, xmp=CAPTURE)
    write_photo(tmp_path / name, photo)
    again = read_photo(tmp_path / name)
    assert again.xmp is not None and b"Anna" in again.xmp and b"Orientation" not in again.xmp
    assert claimed(again.xmp) == COMPOSITE and creator(again.xmp) == f"latentface {__version__}"
    found = find_packet(tmp_path / name)
    assert found is not None and found in again.xmp


@pytest.mark.parametrize(
    ("own", "given", "result"),
    [
        ("digitalCapture", None, "digitalCapture"),
        ("digitalCapture", COMPOSITE, COMPOSITE),
        (GENERATED, COMPOSITE, GENERATED),
        (GENERATED, GENERATED, GENERATED),
    ],
)
def test_a_claim_is_replaced_by_what_is_known(own: str, given: SourceType | None, result: str) -> None:
    text = merged(PACKET % own.encode(), given)
    assert claimed(text.encode()) == result and text.count(TERMS) == 1
    assert ElementTree.fromstring(text) is not None


def test_what_is_no_packet_is_left_out() -> None:
    bomb = CAPTURE.replace(b"<x:xmpmeta", b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta', 1)
    for packet in (None, b"", b"no XML", CAPTURE[:-200].replace(b"</x:xmpmeta>", b""), bomb, 7):
        assert readable(packet) is None
    assert readable(CAPTURE.decode()) == CAPTURE


def test_a_packet_that_a_jpeg_cannot_hold_is_told(tmp_path: Path) -> None:
    large = CAPTURE.replace(b"Anna", b"Anna" * 20_000)
    with pytest.warns(UserWarning, match="bytes of XMP"):
        write_photo(tmp_path / "a.jpg", Photo(np.zeros((8, 8, 3), np.uint8), xmp=large))
    again = read_photo(tmp_path / "a.jpg").xmp
    assert again is not None and b"Anna" not in again


TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
NAMESPACE = "xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'"


@pytest.mark.parametrize(
    "claim",
    [
        f"<rdf:Description {NAMESPACE} Iptc4xmpExt:DigitalSourceType='{TERM}'/>",
        f"<rdf:Description {NAMESPACE}><Iptc4xmpExt:DigitalSourceType>\n {TERM}/</Iptc4xmpExt:DigitalSourceType>"
        "</rdf:Description>",
        f"<rdf:Description {NAMESPACE}><Iptc4xmpExt:DigitalSourceType rdf:resource='{TERM}'/></rdf:Description>",
        f"<rdf:Description {NAMESPACE.replace('Iptc4xmpExt=', 'q=')} q:DigitalSourceType='{TERM}'/>",
    ],
)
@pytest.mark.parametrize("outer", ["<x:xmpmeta xmlns:x='adobe:ns:meta/'>{}</x:xmpmeta>", "{}"])
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_claims_of_other_programs_are_found(claim: str, outer: str, name: str, tmp_path: Path) -> None:
    rdf = f"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>{claim}</rdf:RDF>"
    packet, path, text = outer.format(rdf), tmp_path / name, PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet, zip=True)
    options = {"pnginfo": text} if name == "a.png" else {"xmp": packet.encode()}
    Image.new("RGB", (8, 8)).save(path, **options)
    found = find_packet(path)
    assert found is not None and claimed(found) == GENERATED
    assert claimed(merged(found, COMPOSITE).encode()) == GENERATED
