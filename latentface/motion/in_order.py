"""Processes the frames of a clip in parallel and returns the results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Step = TypeVar("Step")
Made = TypeVar("Made")


def in_order(steps: Iterator[Step], make: Callable[[Step], Made], workers: int, *, ahead: int = 1) -> Iterator[Made]:
    """The result of each step, computed by so many workers while the next step is prepared.

    With several workers, each of them and the caller compute with one thread until the last result is taken. More
    stages would not help, since Python's threads wait for each other: a third one took an eighth more processor time.

    Args:
        steps: what to compute, prepared one after the other.
        make: computes one.
        workers: how many are computed at once, 1 or more.
        ahead: how many more wait for a worker, so that none is idle while the caller uses a result; 0 for live use,
            where they would be late.
    """
    several = workers > 1
    pool = partial(ThreadPoolExecutor, initializer=one_openmp_thread if several else None)
    with one_thread_each() if several else nullcontext(), pool(1) as looking, pool(workers) as making:
        waiting: deque[Future[Made]] = deque()
        end = object()
        coming: Future[Step | object] = looking.submit(next, steps, end)
        while (step := coming.result()) is not end:
            coming = looking.submit(next, steps, end)
            waiting.append(making.submit(make, step))  # type: ignore[arg-type]
            if len(waiting) >= workers + ahead:
                yield waiting.popleft().result()
        for each in waiting:
            yield each.result()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch, OpenMP and BLAS compute with one thread in the calling thread, and in threads that start meanwhile.

    Where threads of Python's own keep all cores busy, those of the libraries only wait for each other: frames that were
    moved by two threads on two cores took 1.6 times the processor time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def one_openmp_thread() -> None:
    """Let OpenMP compute with one thread in the calling thread, whose limit is its own; called where it begins."""
    threadpool_limits(1, "openmp")


def free_cores() -> int:
    """The number of frames to compute in parallel on this machine."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
