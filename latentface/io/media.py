"""Opens files with FFmpeg, whatever characters their names and tags contain."""

from __future__ import annotations

import os
from typing import Any

import av

from latentface.io.paths import address


def open_media(path: str | os.PathLike[str]) -> Any:
    """Open a file for reading with PyAV; invalid UTF-8 in tags is replaced. Raises the errors of `av.open`."""
    return av.open(address(path), metadata_errors="replace")
