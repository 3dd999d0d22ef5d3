"""Processes the frames of a clip in parallel and returns the results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Step = TypeVar("Step")
Made = TypeVar("Made")


def in_order(steps: Iterator[Step], make: Callable[[Step], Made], workers: int) -> Iterator[Made]:
    """The result of each step; while one is pending, `workers` more are computed and the next step is prepared.

    Without workers, as for live use, only the next step is prepared, by a second core, while a result is computed.
    """
    if not workers:
        yield from _one_ahead(steps, make)
        return
    with ThreadPoolExecutor(1) as looking, ThreadPoolExecutor(workers) as making:
        waiting: deque[Future[Made]] = deque()
        end = object()
        coming: Future[Step | object] = looking.submit(next, steps, end)
        while (step := coming.result()) is not end:
            coming = looking.submit(next, steps, end)
            waiting.append(making.submit(make, step))  # type: ignore[arg-type]
            if len(waiting) > workers:
                yield waiting.popleft().result()
        for each in waiting:
            yield each.result()


def _one_ahead(steps: Iterator[Step], make: Callable[[Step], Made]) -> Iterator[Made]:
    with ThreadPoolExecutor(1) as looking:
        end = object()
        coming: Future[Step | object] = looking.submit(next, steps, end)
        while (step := coming.result()) is not end:
            coming = looking.submit(next, steps, end)
            yield make(step)  # type: ignore[arg-type]


def free_cores() -> int:
    """The number of frames to compute in parallel on this machine."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
