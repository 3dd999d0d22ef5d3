from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from latentface.batch.jobs import Job
from latentface.batch.local import AHEAD, run_local
from tests.helpers.batch_works import DEADLY, ONCE, shout, shout_slowly, texts


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_is_done_once(tmp_path: Path, processes: int) -> None:
    jobs = texts(tmp_path, *"abcdefgh")
    outcomes = list(run_local(jobs, shout, processes))
    assert sorted(outcome.job.name for outcome in outcomes) == [job.name for job in jobs]
    assert [Path(job.target).read_text() for job in jobs] == list("ABCDEFGH")
    assert not any(outcome.exit_code for outcome in outcomes)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_that_dies_costs_its_own_job_alone(tmp_path: Path, processes: int) -> None:
    jobs = texts(tmp_path, "a", "b", DEADLY, "d", "e", "f", "g")
    outcomes = {outcome.job.name: outcome for outcome in run_local(jobs, shout, processes)}
    assert len(outcomes) == len(jobs)
    failed = [name for name, outcome in outcomes.items() if outcome.exit_code]
    assert failed == ["2.loud.txt"]
    assert "2.txt: the process that worked on it died" in outcomes["2.loud.txt"].message
    assert all(Path(job.target).is_file() for job in jobs if job.name not in failed)


def test_a_process_that_dies_beside_others_gets_another_try_alone(tmp_path: Path) -> None:
    outcomes = list(run_local(jobs := texts(tmp_path, ONCE, "b"), shout, 2))
    assert [outcome.exit_code for outcome in outcomes] == [0, 0]
    assert Path(jobs[0].target).read_text() == "ONCE"


def test_jobs_are_read_as_they_are_needed_and_stopping_early_stops(tmp_path: Path) -> None:
    jobs, read = texts(tmp_path, *"abcdefghijklmnop"), []

    def stream() -> Iterator[Job]:
        for job in jobs:
            read.append(job)
            yield job

    with closing(run_local(stream(), shout_slowly, 1)) as outcomes:
        next(outcomes)
    assert 1 <= len(read) <= 2 * AHEAD
    assert len(list((tmp_path / "out").iterdir())) <= 1 + AHEAD
