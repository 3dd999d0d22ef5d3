"""The finished frames of a run in a file, from which an interrupted run goes on.

The first line says what is made of what. A record follows for each frame: the rectangle in which it differs from the
source's frame, and the difference there, compressed. Records are only appended, so a killed process leaves at most one
incomplete record at the end, which is discarded.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from latentface.arrays import Pixels
from latentface.errors import InputError, OutputError
from latentface.io.paths import advice

FORMAT = "latentface-frames-2"
_HEAD = struct.Struct("<5I")  # left, top, width and height of the rectangle, bytes of its differences
_LEVEL = 1  # of zlib: each higher one takes longer than it saves
_LONGEST_LINE = 1 << 20
_BEGINNING = 1 << 20  # bytes of a film that identify it, together with its size


class KeptFrames:
    """The frames that a run has finished, oldest first; a context manager that closes the file.

    Args:
        path: the file; its folder is created.
        facts: what must match for an existing file to be continued; otherwise it is started again, and `replaced` is
            set.

    Attributes:
        count: number of frames.
        found: number of them that an earlier run had finished.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, facts: Mapping[str, object]) -> None:
        self.path = path
        line = json.dumps({"format": FORMAT, **facts}, sort_keys=True).encode() + b"\n"
        try:
            there = path.is_file()
            self.found, whole = _scan(path, line) if there else (0, 0)
            self.replaced = there and not whole
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if whole else "wb")
        except OSError as error:
            raise self._unwritable(error) from error
        self.count = self.found
        try:
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._write(line)
        except OSError as error:
            self._close()
            raise self._unwritable(error) from error

    def add(self, record: bytes) -> None:
        """Append a frame that `pack` has packed."""
        try:
            self._write(record)
        except OSError as error:
            raise self._unwritable(error) from error
        self.count += 1

    def records(self) -> Iterator[bytes]:
        """The records that an earlier run left, for `unpack`; one at a time is read."""
        with self.path.open("rb") as stream:
            stream.readline(_LONGEST_LINE)
            for _ in range(self.found):
                head = stream.read(_HEAD.size)
                yield head + stream.read(_HEAD.unpack(head)[-1])

    def remove(self) -> None:
        """Close and delete the file, and its folder if that is empty then."""
        self._close()
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()

    def __enter__(self) -> KeptFrames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        with suppress(OSError):  # of what could not be written before, which has been told
            self._file.close()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._file.flush()

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror}{advice(error.errno)}")


def pack(made: Pixels, source: Pixels) -> bytes:
    """The record of a finished frame, uint8 [H, W, 3 or 4], by what it changes in the frame it was made from."""
    height, width, channels = made.shape
    differs = (made != source).reshape(height, width * channels)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0)) // channels
    if not rows.size:
        return _HEAD.pack(0, 0, 0, 0, 0)
    there = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    change = made[there] - source[there]  # modulo 256
    packed = zlib.compress(change.tobytes(), _LEVEL)
    return _HEAD.pack(there[1].start, there[0].start, change.shape[1], change.shape[0], len(packed)) + packed


def unpack(record: bytes, source: Pixels) -> Pixels:
    """The finished frame of a record and the frame it was made from; InputError if it is damaged."""
    left, top, width, height, size = _HEAD.unpack_from(record)
    if not size:
        return source
    made: Pixels = source.copy()
    part = made[top : top + height, left : left + width]
    try:
        change = zlib.decompressobj().decompress(record[_HEAD.size :], part.size)
        part += np.frombuffer(change, np.uint8).reshape(height, width, -1)
    except (zlib.error, ValueError) as error:
        raise InputError(f"a kept frame is damaged ({error}); delete the kept frames, and run again") from None
    return made


def film_facts(path: Path) -> dict[str, object]:
    """What identifies a film file, or the pictures of a folder: names, sizes, and the SHA-256 of the beginning."""
    if path.is_dir():
        listing = sorted((part.name, part.stat().st_size) for part in path.iterdir())
        return {"film": path.name, "pictures": hashlib.sha256(repr(listing).encode()).hexdigest()}
    with path.open("rb") as stream:
        beginning = hashlib.sha256(stream.read(_BEGINNING)).hexdigest()
    return {"film": path.name, "bytes": path.stat().st_size, "beginning": beginning}


def _scan(path: Path, line: bytes) -> tuple[int, int]:
    """The number of whole records, and the bytes up to their end; 0 and 0 for a file that begins with another line."""
    size = os.path.getsize(path)
    with path.open("rb") as stream:
        if stream.readline(_LONGEST_LINE) != line:
            return 0, 0
        return _count(stream, len(line), size)


def _count(stream: BinaryIO, whole: int, size: int) -> tuple[int, int]:
    count = 0
    while whole + _HEAD.size <= size:
        stream.seek(whole)
        end = whole + _HEAD.size + int(_HEAD.unpack(stream.read(_HEAD.size))[-1])
        if end > size:
            break
        count, whole = count + 1, end
    return count, whole
