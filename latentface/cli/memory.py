"""Keeping memory that is freed between layers."""

from __future__ import annotations

from latentface.io.memory import c_function

# parameters of glibc's mallopt (malloc.h)
TRIM_THRESHOLD, MMAP_MAX = -1, -4
KEPT = 2**31 - 1  # bytes; the largest int


def keep_memory() -> bool:
    """Let the C library of this process keep freed memory for later allocations.

    By default glibc returns every freed tensor above 32 MB to the system, and the next one is paged in again, page by
    page: at 1024 px this costs more than everything in a layer except the convolution. It applies to the whole process,
    so it is meant for programs, not for libraries. Returns whether the C library is glibc.
    """
    mallopt = c_function("mallopt")
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, KEPT))
