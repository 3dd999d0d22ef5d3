"""The bytes of Content Credentials that no hash covers: the place of the manifest store, headers, labels and padding.

The hash of a file leaves out its manifest store, and within the store hashes and signatures do not cover the headers of
boxes, labels that are the same in all files, and padding (C2PA specification 2.4, sections 10.4, 11.1 and 11.3).
Readers that are lenient about these do not notice that they were changed; this one takes nothing but the exact form.
Boxes are those of JUMBF (ISO/IEC 19566-5), the signature is a COSE_Sign1 (RFC 9052) in CBOR (RFC 8949).
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import Final

from latentface.provenance.cbor import read_cbor

#: Labels by the first four bytes of a box's type; others are found in the claim or in links to the box.
_LABELS: Final = {
    b"c2pa": rb"c2pa", b"c2as": rb"c2pa\.assertions", b"c2cl": rb"c2pa\.claim(\.v\d+)?(__\d+)?",
    b"c2cs": rb"c2pa\.signature(__\d+)?", b"c2vc": rb"c2pa\.credentials", b"c2db": rb"c2pa\.databoxes",
}  # fmt: skip
_TYPE_END: Final = bytes.fromhex("00110010800000aa00389b71")
_LABELLED, _ID, _HASH, _PRIVATE = 0x03, 0x04, 0x08, 0x10  # the toggles of a description box; 1: may be linked to
_STORE: Final = re.compile(rb"....jumb....jumdc2pa", re.DOTALL)
_REMNANT: Final = re.compile(rb"jumdc2(?:pa|ma|um|cl|as|cs)|urn:c2pa:|c2pa\.(?:assertions|claim|signature)\0")
_JPEG_BOXES: Final = (*range(1, 17), 0x0211)  # any number that tells boxes apart; writers count, or take this one
_MP4_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_UNHASHED: Final = (b"ftyp", b"free", b"skip", b"mfra")
_PADS: Final = ("pad", "pad2")


class FlawError(ValueError):
    """What is wrong in the form of a manifest store."""


def holds_remnants(data: mmap | bytes) -> bool:
    """Whether a file's bytes hold anything of a manifest store, damaged or not."""
    return _REMNANT.search(data) is not None


def check_form(data: mmap | bytes, kind: str) -> None:
    """Check all bytes of the manifest store of a file that no hash covers.

    Args:
        data: the file.
        kind: its MIME type.

    Raises:
        FlawError: there is not exactly one store where it belongs, or its form is not exact.
    """
    try:
        found = [store for store in _stores(data, kind) if _STORE.match(store)]
        if len(found) != 1:
            raise FlawError(f"{len(found) or 'no'} manifest stores where one belongs")
        ((name, content),) = _boxes(found[0])
        _check_superbox(name, content)
    except (IndexError, struct.error, ValueError) as error:
        raise FlawError(str(error) if isinstance(error, FlawError) else "a box of the manifest is cut short") from error


def _stores(data: mmap | bytes, kind: str) -> Iterator[bytes]:
    """What may be a manifest store, from the places that C2PA has for it; of rare kinds of files from anywhere."""
    if kind == "image/jpeg":
        yield from _of_jpeg(data)
    elif kind == "image/png":
        yield from _of_png(data)
    elif data[:4] == b"RIFF":
        yield from _of_riff(data)
    elif data[4:8] == b"ftyp":
        yield from _of_bmff(data)
    else:
        for found in _STORE.finditer(data):
            yield data[found.start() : found.start() + _number(data, found.start())]


def _number(data: mmap | bytes, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _of_jpeg(data: mmap | bytes) -> Iterator[bytes]:
    """Boxes in APP11 segments, each of which numbers itself and repeats the header of its box."""
    at, parts = 2, dict[bytes, list[bytes]]()
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xD9, 0xDA):
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] == 0xEB and data[at + 4 : at + 6] == b"JP":
            box, number = struct.unpack_from(">HI", data, at + 6)
            which = data[at + 6 : at + 8] + data[at + 12 : at + 20]
            parts.setdefault(which, []).append(data[at + 20 : end])
            if number != len(parts[which]) or box not in _JPEG_BOXES:
                raise FlawError("segments of the manifest have wrong numbers")
        at = end
    for which, bodies in parts.items():
        yield which[2:] + b"".join(bodies)


def _of_png(data: mmap | bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        size = _number(data, at)
        if data[at + 4 : at + 8] == b"caBX":
            body = data[at + 4 : at + 8 + size]
            if zlib.crc32(body) != _number(data, at + 8 + size):
                raise FlawError("the checksum of the manifest's chunk is wrong")
            yield body[4:]
        at += 12 + size


def _of_riff(data: mmap | bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"C2PA":
            if any(data[at + 8 + size : at + 8 + size + size % 2]):
                raise FlawError("the padding of the manifest's chunk is not zero")
            yield data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _of_bmff(data: mmap | bytes) -> Iterator[bytes]:
    """Boxes in top-level boxes of MP4 and HEIF files: version, flags, purpose, the place of hashes of parts, store."""
    for name, at, end in _top_level(data):
        if name != b"uuid" or data[at + 8 : at + 24] != _MP4_UUID:
            continue
        purpose, _, rest = data[at + 28 : end].partition(b"\0")
        if any(data[at + 24 : at + 28]) or purpose not in (b"manifest", b"original", b"update", b"merkle"):
            raise FlawError("the header of the manifest's box is none that C2PA knows")
        if purpose != b"merkle":
            parts, store = struct.unpack_from(">QI", rest)
            if parts and data[parts + 4 : parts + 8] != b"uuid":
                raise FlawError("the manifest's box names a place where nothing is")
            if any(rest[8 + store :]):
                raise FlawError("the padding of the manifest's box is not zero")
            yield rest[8 : 8 + store]


def _top_level(data: mmap | bytes) -> Iterator[tuple[bytes, int, int]]:
    """Names, beginnings and ends of the outermost boxes of an MP4 or HEIF file."""
    at = 0
    while at + 8 <= len(data):
        size = _number(data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        end = at + size if size else len(data)
        yield data[at + 4 : at + 8], at, end
        if end < at + 8:
            return
        at = end


def digest_unhashed(data: mmap | bytes) -> str:
    """SHA-256 of the boxes of an MP4 file that the hash of C2PA leaves out by their names, in hexadecimal."""
    digest = hashlib.sha256()
    for name, at, end in _top_level(data):
        if name in _UNHASHED:
            digest.update(data[at:end])
    return digest.hexdigest()


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes that fill the data exactly."""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        if size < head or at + size > len(data):
            raise FlawError("a box of the manifest has a wrong length")
        yield name, data[at + head : at + size]
        at += size


def _check_superbox(name: bytes, content: bytes) -> None:
    """Check a box of boxes, the first of which describes it, and all within."""
    if name != b"jumb":
        raise FlawError("a box of the manifest is of an unknown kind")
    (first, description), *rest = _boxes(content)
    if first != b"jumd":
        raise FlawError("a box of the manifest has no description")
    kind = _check_description(description)
    for name, body in rest:
        if name == b"jumb":
            _check_superbox(name, body)
        elif name == b"free" and any(body):
            raise FlawError("the padding between boxes is not zero")
        elif name == b"cbor" and kind == b"c2cs":
            _check_signature(body)


def _check_description(data: bytes) -> bytes:
    """Check the description of a box; the first four bytes of its type."""
    kind, toggles = data[:4], data[16]
    label, _, rest = data[17:].partition(b"\0")
    if kind[:2] == b"c2" and data[4:16] != _TYPE_END:
        raise FlawError("a box of the manifest is of an unknown type")
    if toggles & _LABELLED != _LABELLED or toggles > _LABELLED + _ID + _HASH + _PRIVATE:
        raise FlawError("a box of the manifest has no label, or unknown switches")
    rest = rest[4 * bool(toggles & _ID) + 32 * bool(toggles & _HASH) :]
    if len(list(_boxes(rest))) != bool(toggles & _PRIVATE):
        raise FlawError("a box of the manifest has a private part that it does not announce")
    if kind in _LABELS and not re.fullmatch(_LABELS[kind], label):
        raise FlawError("a box of the manifest has a label that C2PA does not know")
    return kind


def _check_signature(data: bytes) -> None:
    """Check that the part of a COSE_Sign1 that it does not sign holds no padding but zeros, under its own name."""
    value, end = read_cbor(data)
    if end != len(data) or not isinstance(value, list) or len(value) != 4 or not isinstance(value[1], dict):
        raise FlawError("a signature is no COSE_Sign1")
    if value[2] is not None:
        raise FlawError("a signature holds what it signs, which belongs elsewhere")
    for name, each in value[1].items():
        if isinstance(each, bytes) and any(each) == (name in _PADS) and each:
            raise FlawError(f"the padding of a signature is not zero, or not called so ({name!r})")
