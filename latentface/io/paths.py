"""File names in the forms that FFmpeg, terminals and file systems accept."""

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
    """A path as a URL for FFmpeg, with an explicit protocol, since FFmpeg takes text before a colon for one."""
    return f"file:{os.fspath(path)}"


def is_address(text: str) -> bool:
    """Whether a text is a URL (`rtsp://...`, `http://...`); everything else is a path, even with colons."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isascii() and scheme.replace("+", "").isalnum()


def printable(text: str | os.PathLike[str]) -> str:
    """A name that can be displayed and written into files: bytes that are not UTF-8 become U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", os.fspath(text))


def short_stem(path: Path) -> str:
    """The beginning of a name without its suffix, short enough to be part of a temporary name."""
    return os.fsencode(path.stem)[:_SHORT].decode("utf-8", "ignore")


def short_suffix(path: Path) -> str:
    """The suffix of a name, since many writers choose their format by it; empty if it is too long to be one."""
    return path.suffix if len(os.fsencode(path.suffix)) <= _SHORT_SUFFIX else ""


def reason(error: Exception) -> str:
    """The reason of an error in words, without its number and without the file name."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())


def advice(number: int | None) -> str:
    """Advice about a system error with that number during writing; empty if there is none."""
    if number in _FULL:
        return "; choose a place that has room"
    if number in _FORBIDDEN:
        return "; choose a folder that can be written"
    if number in _NO_FOLDER:
        return "; choose a folder that exists"
    return "; choose a shorter name" if number == errno.ENAMETOOLONG else ""
