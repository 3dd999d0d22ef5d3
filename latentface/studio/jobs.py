"""A queue of jobs that report their progress and can be cancelled at any time; one runs at a time.

A job does not depend on a page: after a page is reloaded or closed, the job and its results can be found again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from latentface.arrays import Pixels
from latentface.errors import InputError, LatentfaceError, UsageError

State = Literal["waiting", "running", "done", "failed", "cancelled"]

MOST_WAITING = 20
REMEMBERED = 50  # jobs that are over


class Cancelled(Exception):
    """Raised where a job reports its progress after it was cancelled."""


@dataclass(frozen=True, eq=False)
class Job:
    """The state of a job.

    Attributes:
        number: counted from 1.
        owner: of the session that asked for it.
        title: what it does.
        state: waiting, running, done, failed or cancelled.
        share: 0..1, how much is done.
        message: what is being done, or what went wrong.
        curve: numbers that it reported on the way, such as losses.
        picture: what it showed last, uint8 RGB [H, W, 3].
        files: its results.
    """

    number: int
    owner: str
    title: str
    state: State = "waiting"
    share: float = 0.0
    message: str = ""
    curve: tuple[float, ...] = ()
    picture: Pixels | None = None
    files: tuple[Path, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in ("waiting", "running")


class Progress:
    """Reports the progress of a job; every call raises `Cancelled` once the job has been cancelled."""

    def __init__(self, tell: Callable[[Callable[[Job], Job]], None]) -> None:
        self._tell = tell

    def __call__(self, share: float, message: str = "") -> None:
        """The share that is done, 0..1, and what is being done."""
        self._tell(lambda job: replace(job, share=min(max(share, 0.0), 1.0), message=message or job.message))

    def point(self, value: float) -> None:
        """One more number of its curve."""
        self._tell(lambda job: replace(job, curve=(*job.curve, value)))

    def show(self, picture: Pixels) -> None:
        """What the result looks like so far, uint8 RGB [H, W, 3]."""
        self._tell(lambda job: replace(job, picture=picture))


Work = Callable[[Progress], Sequence[Path]]


class JobQueue:
    """Runs jobs in order, in a thread of its own that starts with the first job."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._work: deque[tuple[int, Work]] = deque()
        self._unwanted: set[int] = set()
        self._count = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, title: str, work: Work, owner: str = "") -> Job:
        """Put work at the end of the queue; UsageError if too many jobs are waiting."""
        with self._changed:
            if self._closed or len(self._work) >= MOST_WAITING:
                raise UsageError(f"{len(self._work)} jobs are waiting already; cancel some, or wait for them")
            self._count += 1
            job = Job(self._count, owner, title)
            self._jobs[job.number] = job
            self._work.append((job.number, work))
            self._forget()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return job

    def get(self, number: int) -> Job:
        """A job by its number; UsageError if it does not exist, or no longer."""
        with self._changed:
            if number not in self._jobs:
                raise UsageError(f"no job {number}; expected one of {', '.join(map(str, self._jobs)) or 'none yet'}")
            return self._jobs[number]

    def of(self, owner: str) -> list[Job]:
        """The jobs of one session, the newest first."""
        with self._changed:
            return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def cancel(self, number: int) -> None:
        """Remove a job from the queue, or stop it when it next reports its progress; does nothing to a finished one."""
        with self._changed:
            job = self._jobs.get(number)
            if job is None or job.is_over:
                return
            self._unwanted.add(number)
            if job.state == "waiting":
                self._work = deque(each for each in self._work if each[0] != number)
                self._end(number, "cancelled", "cancelled before it began")
            self._changed.notify_all()

    def wait(self, number: int, timeout: float | None = None) -> Job:
        """Wait for a job; returns its state when it is over, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs[number].is_over, timeout)
            return self._jobs[number]

    def close(self, timeout: float = 5.0) -> None:
        """Cancel everything, and wait for the running job to stop."""
        with self._changed:
            self._closed = True
            numbers = list(self._jobs)
        for number in numbers:
            self.cancel(number)
        if self._thread is not None:
            with self._changed:
                self._changed.notify_all()
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._closed)
                if not self._work:
                    return
                number, work = self._work.popleft()
                self._jobs[number] = replace(self._jobs[number], state="running", message="begins")
                self._changed.notify_all()
            self._do(number, work)

    def _do(self, number: int, work: Work) -> None:
        def tell(change: Callable[[Job], Job]) -> None:
            with self._changed:
                if number in self._unwanted:
                    raise Cancelled
                self._jobs[number] = change(self._jobs[number])
                self._changed.notify_all()

        try:
            files = tuple(work(Progress(tell)))
        except Cancelled:
            self._end(number, "cancelled", "cancelled")
        except LatentfaceError as error:
            self._end(number, "failed", str(error))
        except Exception as error:  # a fault of our own must not end the queue
            self._end(number, "failed", f"internal error: {type(error).__name__}: {error}")
        else:
            self._end(number, "done", "done", files)

    def _end(self, number: int, state: State, message: str, files: tuple[Path, ...] = ()) -> None:
        with self._changed:
            job = self._jobs[number]
            share = 1.0 if state == "done" else job.share
            self._jobs[number] = replace(job, state=state, share=share, message=message, files=files)
            self._unwanted.discard(number)
            self._changed.notify_all()

    def _forget(self) -> None:
        over = [number for number, job in self._jobs.items() if job.is_over]
        for number in over[:-REMEMBERED]:
            del self._jobs[number]


def result_of(job: Job) -> tuple[Path, ...]:
    """The files of a job that is done; InputError with its message for one that is not."""
    if job.state != "done":
        raise InputError(job.message)
    return job.files
