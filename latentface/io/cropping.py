"""What a container says is to be cut off its frames: the clean aperture of MP4 and MOV, and Matroska's PixelCrop.

FFmpeg's libraries leave this to players, and PyAV does not tell it; so the headers are read here. What a codec's own
header crops has been cut off already when a frame is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from latentface.arrays import Pixels

Span = tuple[int, int]  # from byte to byte of a file
_MOST = 10_000  # boxes of one level; real headers have dozens
_ENTRY = 78  # bytes of a VisualSampleEntry before its boxes (ISO 14496-12, 12.1.3)
_EBML, _SEGMENT, _TRACKS, _TRACK, _TYPE, _VIDEO = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0  # RFC 9559
_CLUSTER = 0x1F43B675
_CROPS = (0x54CC, 0x54BB, 0x54DD, 0x54AA)  # PixelCropLeft, Top, Right, Bottom


@dataclass(frozen=True)
class Margins:
    """Pixels to be cut off each side of a decoded frame."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, pixels: Pixels, across: float = 1.0) -> Pixels:
        """Pixels [H, W, C] without the margins; across: by how much the frame was widened."""
        height, width = pixels.shape[:2]
        left, right = round(self.left * across), round(self.right * across)
        return pixels[self.top : height - self.bottom, left : width - right]


def margins_of(path: Path, track: int, size: tuple[int, int]) -> Margins | None:
    """What is cut off the frames of a video file; None for nothing, and for what would leave nothing.

    Args:
        path: the file.
        track: the identifier of its video track in an MP4 or MOV file; of another kind of file the first is taken.
        size: width and height of a decoded frame.
    """
    try:
        with path.open("rb") as file:
            whole = (0, file.seek(0, 2))
            file.seek(0)
            if file.read(4) == _EBML.to_bytes(4, "big"):
                found = _of_matroska(file, whole)
            else:
                found = _of_mp4(file, whole, track)
    except (OSError, struct.error, ArithmeticError):
        return None
    if found is None or min(found) < 0 or not any(found):
        return None
    margins = Margins(*found)
    fits = margins.left + margins.right < size[0] and margins.top + margins.bottom < size[1]
    return margins if fits else None


def _of_mp4(file: BinaryIO, whole: Span, track: int) -> tuple[int, int, int, int] | None:
    for trak in _inside(file, whole, b"moov", b"trak"):
        header = next(_inside(file, trak, b"tkhd"), None)
        if header is None or _track_id(file, header) != track:
            continue
        for table in _inside(file, trak, b"mdia", b"minf", b"stbl", b"stsd"):
            for _, entry in _boxes(file, (table[0] + 8, table[1])):  # after version, flags and their number
                aperture = next(_inside(file, (entry[0] + _ENTRY, entry[1]), b"clap"), None)
                return None if aperture is None else _clean_aperture(file, entry, aperture)
    return None


def _clean_aperture(file: BinaryIO, entry: Span, aperture: Span) -> tuple[int, int, int, int]:
    """ISO 14496-12, 12.1.4: a size, and how far its centre lies right of and below that of the frame."""
    width, height = _read(file, ">HH", entry[0] + 24)
    fractions = _read(file, ">IIIIiIiI", aperture[0])
    wide, high, right, down = (n / d for n, d in zip(fractions[::2], fractions[1::2], strict=True))
    left, top = round((width - wide) / 2 + right), round((height - high) / 2 + down)
    return left, top, round(width - wide) - left, round(height - high) - top


def _track_id(file: BinaryIO, header: Span) -> int:
    version = _read(file, ">B", header[0])[0]
    return int(_read(file, ">I", header[0] + (20 if version == 1 else 12))[0])


def _inside(file: BinaryIO, span: Span, *kinds: bytes) -> Iterator[Span]:
    """The contents of the boxes of those kinds, each within one of the kind before."""
    for kind, inner in _boxes(file, span):
        if kind == kinds[0]:
            yield from _inside(file, inner, *kinds[1:]) if kinds[1:] else (inner,)


def _boxes(file: BinaryIO, span: Span) -> Iterator[tuple[bytes, Span]]:
    return islice(_every_box(file, span), _MOST)


def _every_box(file: BinaryIO, span: Span) -> Iterator[tuple[bytes, Span]]:
    start, end = span
    while start + 8 <= end:
        size, kind = _read(file, ">I4s", start)
        head = 8
        if size == 1:
            size, head = _read(file, ">Q", start + 8)[0], 16
        stop = end if size == 0 else min(start + size, end)
        if stop < start + head:
            return
        yield kind, (start + head, stop)
        start = stop


def _of_matroska(file: BinaryIO, whole: Span) -> tuple[int, int, int, int] | None:
    for track in _within(file, whole, _SEGMENT, _TRACKS, _TRACK):
        kind = next(_within(file, track, _TYPE), None)
        if kind is None or _number(file, kind) != 1:
            continue
        for video in _within(file, track, _VIDEO):
            spans = [next(_within(file, video, element), None) for element in _CROPS]
            left, top, right, bottom = (0 if span is None else _number(file, span) for span in spans)
            return left, top, right, bottom
        return None
    return None


def _within(file: BinaryIO, span: Span, *elements: int) -> Iterator[Span]:
    """The contents of the EBML elements with those numbers, each within one of the element before."""
    for element, inner in islice(_elements(file, span), _MOST):
        if element == elements[0]:
            yield from _within(file, inner, *elements[1:]) if elements[1:] else (inner,)


def _elements(file: BinaryIO, span: Span) -> Iterator[tuple[int, Span]]:
    """The EBML elements up to the first cluster, from where on there are pictures."""
    start, end = span
    while start < end:
        element, length = _variable(file, start, marked=True)
        size, more = _variable(file, start + length, marked=False)
        if element == _CLUSTER:
            return
        inner = start + length + more
        stop = end if size == (1 << 7 * more) - 1 else min(inner + size, end)  # all ones: as long as it goes
        yield element, (inner, stop)
        start = stop


def _variable(file: BinaryIO, at: int, marked: bool) -> tuple[int, int]:
    """An EBML number and its bytes (RFC 8794, 4); marked: with the bit that tells its length."""
    first = _read(file, ">B", at)[0]
    length = 9 - int(first).bit_length()
    file.seek(at)
    content = file.read(length)
    if length > 8 or len(content) < length:
        raise struct.error("not an EBML number")
    value = int.from_bytes(content, "big")
    return value if marked else value & ((1 << 7 * length) - 1), length


def _number(file: BinaryIO, span: Span) -> int:
    file.seek(span[0])
    return int.from_bytes(file.read(min(span[1] - span[0], 8)), "big")


def _read(file: BinaryIO, form: str, at: int) -> tuple[Any, ...]:
    file.seek(at)
    return struct.unpack(form, file.read(struct.calcsize(form)))
