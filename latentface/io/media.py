"""A file opened by FFmpeg, whatever it is called and whatever its tags hold."""

from __future__ import annotations

import os
from typing import Any

import av

from latentface.io.paths import address


def open_media(path: str | os.PathLike[str]) -> Any:
    """PyAV's container of a file, to be read; tags that are not UTF-8 are replaced. Raises what `av.open` raises."""
    return av.open(address(path), metadata_errors="replace")
