"""Small works for batches: a text in capitals, and some that take their process with them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from latentface.batch.jobs import Job, Outcome, Work
from latentface.batch.places import deliver, digest, fetched, working_folder

DEADLY = "deadly"  # kills whoever reads it
ONCE = "once"  # kills whoever reads it first


def run_here(jobs: Iterable[Job], work: Work, processes: int) -> Iterator[Outcome]:
    """As `local.run_local`, in this process."""
    yield from map(work, jobs)


def shout(job: Job) -> Outcome:
    """Write the source's text in capitals."""
    with fetched(job.source) as source, working_folder(job) as folder:
        text = source.read_text()
        mark = Path(f"{job.source}.seen")
        if text == DEADLY or (text == ONCE and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / job.name).write_text(text.upper())
        return Outcome(job, digest(source), deliver(folder, job), 0.0)


def shout_slowly(job: Job) -> Outcome:
    """As `shout`, in a tenth of a second."""
    time.sleep(0.1)
    return replace(shout(job), seconds=0.1)


def texts(folder: Path, *contents: str) -> list[Job]:
    """A job for each text, the results in folder/out."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for number, content in enumerate(contents):
        source = folder / f"{number}.txt"
        source.write_text(content)
        jobs.append(Job("shout", (), str(source), str(folder / "out"), f"{number}.loud.txt"))
    return jobs
