"""Files: written so that a killed run leaves either the old one or the new one, never half; and their checksums."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from latentface.errors import OutputError
from latentface.io.paths import LONGEST_NAME, advice, short_stem, short_suffix


def check_name(path: Path) -> None:
    """Raise OutputError for a name that no file system can hold, before work is spent on its content."""
    length = len(os.fsencode(path.name))
    if length > LONGEST_NAME:
        raise OutputError(
            f"cannot write {path}: its name has {length} bytes, and a file's name at most {LONGEST_NAME}; "
            "choose a shorter name with -o"
        )


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there replaces `path` when the block ends well.

    The temporary name is short, and keeps the suffix of `path`, since many writers choose their format by it. Whatever
    ends the block early, Ctrl-C included, removes the temporary file and leaves `path` as it was.

    Raises:
        OutputError: the folder does not exist, is not writable, the disk is full, the name is too long for a file
            system, or `path` is a folder.
    """
    target = Path(path)
    check_name(target)
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a folder; give the name of a file")
    temporary = target.with_name(f".{short_stem(target)}.{secrets.token_hex(4)}.part{short_suffix(target)}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {target}: {reason}{advice(error.errno)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


class WholeWrites(io.BufferedIOBase):
    """A file that is written through Python alone.

    Pillow's encoders write to the number of a file themselves, and take it for a success when a disk that becomes full
    holds only part of what they wrote. This one tells no number.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, content: Any) -> int:
        """Write everything; raises OSError if that is impossible."""
        return self._file.write(content)


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, in hex. Raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
