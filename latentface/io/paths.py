"""Names of files: as FFmpeg, a terminal and a file system take them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

LONGEST_NAME = 255  # bytes, of one name in every file system in use
_SHORT, _SHORT_SUFFIX = 60, 20  # bytes
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
_NO_FOLDER = frozenset((errno.ENOENT, errno.ENOTDIR))


def address(path: str | os.PathLike[str]) -> str:
    """A path as FFmpeg's address of a file: it takes what comes before a colon for a protocol, so that is said."""
    return f"file:{os.fspath(path)}"


def is_address(text: str) -> bool:
    """Whether a text is an address (`rtsp://...`, `http://...`); all else is a path, whatever colons it holds."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isascii() and scheme.replace("+", "").isalnum()


def printable(text: str | os.PathLike[str]) -> str:
    """A name as it can be shown and written into files: what is not UTF-8 in it becomes U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", os.fspath(text))


def short_stem(path: Path) -> str:
    """The beginning of a name without its suffix, in so few bytes that a temporary name can be made with it."""
    return os.fsencode(path.stem)[:_SHORT].decode("utf-8", "ignore")


def short_suffix(path: Path) -> str:
    """The suffix of a name, since many writers choose their format by it; none where it is too long to be one."""
    return path.suffix if len(os.fsencode(path.suffix)) <= _SHORT_SUFFIX else ""


def reason(error: Exception) -> str:
    """What is wrong, in words, without Python's numbers and without the name, which the message has already."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())


def advice(number: int | None) -> str:
    """What to do about a system error of that number when something is written; empty where only its text helps."""
    if number in _FULL:
        return "; choose a place that has room"
    if number in _FORBIDDEN:
        return "; choose a folder that can be written"
    if number in _NO_FOLDER:
        return "; choose a folder that exists"
    return "; choose a shorter name" if number == errno.ENAMETOOLONG else ""
