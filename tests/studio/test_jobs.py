"""The queue: order, progress, cancelling, failures."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from latentface.errors import InputError, UsageError
from latentface.studio.jobs import MOST_WAITING, Job, JobQueue, Progress, result_of

LONG = 20.0


@pytest.fixture
def queue() -> Iterator[JobQueue]:
    made = JobQueue()
    yield made
    made.close()


class Gate:
    """Work that goes on until it is let out, reporting all the while."""

    def __init__(self) -> None:
        self.began, self.let_out, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> Sequence[Path]:
        self.began.set()
        try:
            while not self.let_out.wait(0.01):
                progress(0.5, "waits")
        finally:
            self.ended.set()
        return (Path("gate"),)


def test_results_and_progress_of_a_job(queue: JobQueue) -> None:
    def work(progress: Progress) -> Sequence[Path]:
        progress(0.25, "half way")
        progress.point(2.0)
        progress.point(1.0)
        return (Path("a.png"),)

    job = queue.wait(queue.submit("edit", work, "me").number, LONG)
    assert (job.state, job.share, job.curve, job.files) == ("done", 1.0, (2.0, 1.0), (Path("a.png"),))
    assert result_of(job) == (Path("a.png"),)


def test_jobs_are_done_in_their_order(queue: JobQueue) -> None:
    done: list[int] = []

    def numbered(number: int) -> Job:
        def work(progress: Progress) -> Sequence[Path]:
            done.append(number)
            return ()

        return queue.submit(str(number), work)

    last = [numbered(number) for number in range(5)][-1]
    queue.wait(last.number, LONG)
    assert done == [0, 1, 2, 3, 4]


def test_a_running_job_stops_where_it_reports(queue: JobQueue) -> None:
    gate = Gate()
    job = queue.submit("long", gate)
    assert gate.began.wait(LONG)
    queue.cancel(job.number)
    assert queue.wait(job.number, LONG).state == "cancelled"
    assert gate.ended.is_set()
    with pytest.raises(InputError, match="cancelled"):
        result_of(queue.get(job.number))


def test_a_waiting_job_never_begins(queue: JobQueue) -> None:
    first, second = Gate(), Gate()
    one, two = queue.submit("first", first), queue.submit("second", second)
    assert first.began.wait(LONG)
    queue.cancel(two.number)
    assert queue.get(two.number).state == "cancelled"
    first.let_out.set()
    assert queue.wait(one.number, LONG).state == "done"
    assert not second.began.is_set()


def test_failures_are_told_and_the_queue_goes_on(queue: JobQueue) -> None:
    def bad(progress: Progress) -> Sequence[Path]:
        raise InputError("no face in this photo")

    def broken(progress: Progress) -> Sequence[Path]:
        raise ZeroDivisionError("oh")

    told = [queue.wait(queue.submit("x", work).number, LONG) for work in (bad, broken, lambda progress: ())]
    assert [job.state for job in told] == ["failed", "failed", "done"]
    assert told[0].message == "no face in this photo"
    assert "ZeroDivisionError" in told[1].message


def test_sessions_see_their_own_jobs_newest_first(queue: JobQueue) -> None:
    for owner in ("a", "b", "a"):
        queue.wait(queue.submit(owner, lambda progress: (), owner).number, LONG)
    assert [job.number for job in queue.of("a")] == [3, 1]


def test_too_many_jobs_are_refused(queue: JobQueue) -> None:
    gate = Gate()
    queue.submit("runs", gate)
    assert gate.began.wait(LONG)
    for _ in range(MOST_WAITING):
        queue.submit("waits", lambda progress: ())
    with pytest.raises(UsageError, match="20 jobs are waiting"):
        queue.submit("too many", lambda progress: ())


def test_closing_stops_everything() -> None:
    queue, gate = JobQueue(), Gate()
    running, waiting = queue.submit("runs", gate), queue.submit("waits", lambda progress: ())
    assert gate.began.wait(LONG)
    queue.close()
    assert [queue.get(job.number).state for job in (running, waiting)] == ["cancelled", "cancelled"]
    with pytest.raises(UsageError):
        queue.submit("late", lambda progress: ())


def test_unknown_jobs_are_an_error(queue: JobQueue) -> None:
    with pytest.raises(UsageError, match="no job 7"):
        queue.get(7)
