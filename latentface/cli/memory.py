"""What happens to memory that is freed between two layers."""

from __future__ import annotations

import ctypes

# parameters of glibc's mallopt (malloc.h)
TRIM_THRESHOLD, MMAP_MAX = -1, -4
KEPT = 2**31 - 1  # bytes; the largest int


def keep_memory() -> bool:
    """Let the C library of this process keep freed memory for what comes next.

    By default glibc hands every freed tensor above 32 MB back to the system, and the next one is paged in afresh, page
    by page: at 1024 px that costs more than everything a layer does besides convolving. Holds for the whole process,
    so it is for programs to call, not for libraries. Returns whether there is a glibc to tell.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, KEPT))
