"""Opens files with FFmpeg, whatever characters their names and tags contain."""

from __future__ import annotations

import os
from typing import Any, Final

import av

from latentface.io.paths import address

#: Before release 19, PyAV rejects tags that are not UTF-8 unless it is told otherwise; later ones escape them.
LENIENT: Final[dict[str, Any]] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_media(path: str | os.PathLike[str]) -> Any:
    """Open a file for reading with PyAV; invalid UTF-8 in tags is no error. Raises the errors of `av.open`."""
    return av.open(address(path), **LENIENT)
