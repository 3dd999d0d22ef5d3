"""The log of a reading in progress, one line for each look, from which an interrupted reading resumes.

The first line says what is read, and how; every further line is a look. Lines are only appended, so a killed process
leaves at most one incomplete line at the end, which is discarded. From a damaged line on, all lines are discarded and
their frames are classified again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from latentface.emotion import Emotion
from latentface.emotions.smoothing import Look
from latentface.errors import InputError, OutputError

FORMAT = "latentface-looks-1"


class Journal:
    """The looks of one reading in a file, oldest first; a context manager that closes it.

    Args:
        path: the file.
        facts: what must match for an existing file to be continued; otherwise it is started again, and `replaced` is
            set.

    Attributes:
        count, last: the number of looks, and the latest one.
        damaged: number of the line from which on an existing file could not be used, or None.

    Raises:
        OutputError: the file cannot be written.
    """

    last: Look | None
    damaged: int | None

    def __init__(self, path: str | os.PathLike[str], facts: Mapping[str, object]) -> None:
        self.path = Path(path)
        head = json.dumps({"format": FORMAT, **facts}, sort_keys=True) + "\n"
        self.count, self.last, self.damaged, whole = 0, None, None, 0
        try:
            found = self.path.is_file()
            whole = self._check(head) if found else 0
            self.replaced = found and not whole
            self._file = self.path.open("r+b" if whole else "wb")
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._write(head)
        except OSError as error:
            self._close()
            raise self._unwritable(error) from error

    def add(self, look: Look) -> None:
        """Append a look; it is on disk when this returns, as far as the system reports."""
        chances = None if look.chances is None else list(look.chances)
        box = None if look.box is None else list(look.box)
        try:
            self._write(json.dumps([str(look.time), chances, box, look.track]) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self.count, self.last = self.count + 1, look

    def __iter__(self) -> Iterator[Look]:
        """All looks in the file; InputError if it was damaged in the meantime."""
        with self.path.open("rb") as lines:
            next(lines, None)
            for number, line in enumerate(lines, 2):
                try:
                    yield _look(line)
                except ValueError as error:
                    raise InputError(f"{self.path}: line {number} is not a look ({error}); delete the file") from error

    def remove(self) -> None:
        """Close and delete the file."""
        self._close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        with suppress(OSError):  # of what could not be written before, which has been told
            self._file.close()

    def _check(self, head: str) -> int:
        """Number of bytes in complete lines if the file begins with this head, 0 otherwise; counts its looks."""
        with self.path.open("rb") as lines:
            if next(lines, b"") != head.encode():
                return 0
            whole = len(head.encode())
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                try:
                    look = _look(line)
                except ValueError:
                    self.damaged = self.count + 2
                    break
                self.count, self.last, whole = self.count + 1, look, whole + len(line)
        return whole

    def _write(self, line: str) -> None:
        self._file.write(line.encode())
        self._file.flush()

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror}; choose a folder that exists and has room")


def _look(line: bytes) -> Look:
    """Parse a line as a look; ValueError if it is not one."""
    try:
        time, chances, box, track = json.loads(line)
        return Look(Fraction(time), _numbers(chances, len(Emotion)), _numbers(box, 4), int(track))
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _numbers(values: object, count: int) -> tuple[Any, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"expected {count} numbers or null")
    return tuple(values)
