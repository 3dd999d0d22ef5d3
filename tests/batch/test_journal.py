from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from latentface.batch.jobs import Job, Outcome
from latentface.batch.journal import Journal
from latentface.errors import InputError, OutputError
from tests.helpers.batch_works import shout, texts
from tests.helpers.full_disk import little_room


def write(path: Path, *outcomes: Outcome) -> None:
    with Journal(path, "1") as journal:
        for outcome in outcomes:
            journal.write(outcome)


def done(folder: Path) -> tuple[Path, Job]:
    """A journal in which one job is done."""
    (job,) = texts(folder, "hello")
    path = folder / "batch.jsonl"
    write(path, shout(job))
    return path, job


def test_what_is_done_is_known_to_the_next_run(tmp_path: Path) -> None:
    path, job = done(tmp_path)
    assert Journal(path, "1").is_done(job)
    assert not Journal(tmp_path / "other.jsonl", "1").is_done(job)


@pytest.mark.parametrize("change", ["content", "words", "result", "version", "failed", "source"])
def test_what_has_changed_is_done_again(tmp_path: Path, change: str) -> None:
    path, job = done(tmp_path)
    if change == "content":
        Path(job.source).write_text("other")
    elif change == "words":
        job = replace(job, words=("--loud",))
    elif change == "result":
        Path(job.target).unlink()
    elif change == "failed":
        write(path, Outcome(job, "", (), 0.0, 3, "no face"))
    elif change == "source":
        Path(job.source).unlink()
    assert not Journal(path, "2" if change == "version" else "1").is_done(job)


def test_a_line_that_was_cut_off_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    path, job = done(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"source": "b.jp')
    (second,) = texts(tmp_path / "b", "second")
    write(path, shout(second))
    journal = Journal(path, "1")
    assert journal.is_done(job) and journal.is_done(second)
    assert path.read_bytes().startswith(whole) and b"b.jp" not in path.read_bytes()


def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text("dear diary\n")
    with pytest.raises(InputError, match="line 1, is no result of a batch"):
        Journal(path, "1")
    assert path.read_text() == "dear diary\n"


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "file/batch.jsonl")


def test_a_disk_that_is_full_is_told_and_costs_only_the_last_line(tmp_path: Path) -> None:
    path, job = done(tmp_path)
    with little_room(path.stat().st_size + 5), pytest.raises(OutputError, match=r"cannot write .*batch\.jsonl"):
        write(path, shout(job))
    with Journal(path, "1") as journal:
        assert journal.is_done(job)


def test_names_in_any_encoding_come_back(tmp_path: Path) -> None:
    source = tmp_path / "caf\udce9.txt"
    source.write_text("hello")
    job = Job("shout", (), str(source), str(tmp_path / "out"), "x.txt")
    path = tmp_path / "batch.jsonl"
    write(path, shout(job))
    assert Journal(path, "1").is_done(job)
