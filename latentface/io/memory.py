"""Freed memory, of which a process of large photos keeps none."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

from latentface.arrays import Pixels

LARGE = 30_000_000  # pixels; below, taking memory from the system again costs more than it is worth


def give_back(photo: Pixels) -> None:
    """Return memory that is free by now to the system before or after work on a photo [H, W, 3], if that is large.

    The C library keeps it otherwise, in pieces between which the next large array may find no place (see
    `latentface.cli.memory`). Does nothing with C libraries other than glibc.
    """
    if photo.shape[0] * photo.shape[1] < LARGE:
        return  # at once, since every frame of a clip comes here
    trim = c_function("malloc_trim")
    if trim is not None:
        trim(0)


def c_function(name: str) -> Callable[..., int] | None:
    """A function of this process's C library; None if it has none of that name, and on Windows, where none is found."""
    if sys.platform == "win32":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
