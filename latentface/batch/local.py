"""Jobs in processes of this machine, each with one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TYPE_CHECKING, Final

from latentface.batch.jobs import Job, Outcome, Work

if TYPE_CHECKING:
    from loky.process_executor import ProcessPoolExecutor

#: Environment of the processes: as many as there are cores, so that each has one thread.
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
AHEAD = 2  # jobs a process that are handed over before they are needed


def run_local(jobs: Iterable[Job], work: Work, processes: int) -> Iterator[Outcome]:
    """Do jobs in processes of their own and give the outcomes as they come.

    Processes keep the networks that they have loaded. A process that dies takes all jobs with it that were under way:
    they are done again one at a time, which shows the guilty one, and that is reported as failed. A caller that stops
    early, by closing the iterator, stops the processes.

    Args:
        jobs: read as they are needed.
        work: what to do; see `Work`.
        processes: how many.
    """
    stream, suspects = iter(jobs), deque[Job]()
    pending: dict[Future[Outcome], Job] = {}
    executor = _start(processes)
    try:
        while True:
            alone = bool(suspects)
            for job in [suspects.popleft()] if alone else islice(stream, AHEAD * processes - len(pending)):
                pending[executor.submit(work, job)] = job
            if not pending:
                return
            lost = []
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                job = pending.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    lost.append(job)
            if lost:
                lost += pending.values()
                pending.clear()
                executor.shutdown(wait=True, kill_workers=True)
                executor = _start(processes)
                if alone:
                    yield died(lost.pop())
                suspects.extend(lost)
    finally:
        executor.shutdown(wait=True, kill_workers=True)


def died(job: Job) -> Outcome:
    """The outcome of a job whose process died of it."""
    message = f"{job.source}: the process that worked on it died; is there enough memory for it?"
    return Outcome(job, "", (), 0.0, 1, message)


def _start(processes: int) -> ProcessPoolExecutor:
    from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(max_workers=processes, env=dict(ONE_THREAD))
