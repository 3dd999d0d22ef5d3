"""`latentface batch`: with a tiny network in this process, and once for real in two others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from filelock import FileLock

from latentface.batch import local
from latentface.batch.jobs import Job, Outcome
from latentface.cli import batch as batch_command
from tests.helpers.batch_works import run_here
from tests.helpers.cli_desk import Desk
from tests.helpers.cli_desk import Outcome as Done

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose batches are done in this process."""
    monkeypatch.setattr(local, "run_local", run_here)
    return desk


def project(bench: Desk, *words: object) -> Done:
    given = ("--network", bench.network, "--steps", 2, "-o", bench.out)
    return bench.run("batch", "project", *words, *given)


def rows(bench: Desk) -> list[dict[str, object]]:
    return [json.loads(line) for line in (bench.out / "batch.jsonl").read_text().splitlines()]


def test_every_photo_is_done_and_a_bad_one_does_not_stop_the_rest(bench: Desk) -> None:
    bench.photo("in/anna.png")
    bench.photo("in/deep/bert.png")
    (bench.folder / "in/broken.png").write_bytes(b"no picture")
    done = project(bench, bench.folder / "in", "--json")
    assert done.code == 3
    assert (done.json["done"], done.json["failed"], done.json["skipped"]) == (2, 1, 0)
    assert "broken.png" in done.err
    assert (bench.out / "anna.latent.safetensors").exists() and (bench.out / "deep/bert.projected.png").exists()
    assert [row["exit_code"] for row in rows(bench)] == [0, 3, 0]
    assert sorted(path.name for path in bench.out.iterdir() if path.name.startswith(".")) == []


def test_a_second_run_does_what_is_new_or_changed(bench: Desk) -> None:
    photos = [bench.photo(f"in/{name}.png") for name in ("anna", "bert")]
    assert project(bench, *photos).code == 0
    again = project(bench, *photos)
    assert "0 done, 2 skipped, 0 failed" in again.out
    bench.photo("in/anna.png", faces=(80,))
    photos.append(bench.photo("in/cora.png"))
    assert "2 done, 1 skipped, 0 failed" in project(bench, *photos).out
    assert "3 done, 0 skipped, 0 failed" in project(bench, *photos, "--overwrite").out
    assert "3 done, 0 skipped, 0 failed" in project(bench, *photos, "--seed", 1).out


def test_the_plan_says_what_would_be_done_and_writes_nothing(bench: Desk) -> None:
    photos = [bench.photo("x/anna.png"), bench.photo("y/anna.jpg")]
    done = bench.run("batch", "edit", *photos, "-o", bench.out, "--set", "joy=1", "--dry-run", "--json")
    assert done.code == 0
    assert [Path(job["target"]).name for job in done.json["jobs"]] == ["anna.edit.png", "anna.jpg.edit.png"]
    assert not bench.out.exists()


def test_inputs_come_from_a_list(bench: Desk) -> None:
    photo, listed = bench.photo("in/anna.png"), bench.folder / "list.txt"
    listed.write_text(f"{photo}\n\n")
    assert "1 done" in project(bench, "--list", listed).out


def test_flags_of_the_verb_reach_it_as_they_were_typed(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []

    def note(job: Job) -> Outcome:
        jobs.append(job)
        return Outcome(job, "", (), 0.0)

    monkeypatch.setattr(batch_command, "work", note)
    words = ("--set", "smile=0.5", "--set", "jaw=.2", "--no-cache", "--grid", "smile", "jaw", "--directions", "own.npy")
    assert bench.run("batch", "edit", bench.photo("in/anna.png"), "-o", bench.out, *words, "--quiet").code == 0
    (typed,) = {job.words for job in jobs}
    pairs = {*pairwise(typed)}
    assert {("--set", "smile=0.5"), ("--set", "jaw=.2"), ("--grid", "smile"), ("smile", "jaw")} < pairs
    assert ("--directions", str(bench.folder / "own.npy")) in pairs
    assert "--no-cache" in typed and not {"-o", "--output", "--quiet", "--face"} & set(typed)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "ray", "--jobs", 2), "--jobs has no effect"),
        (("--address", "auto"), "use it with --engine ray"),
        (("--truncation", 0.5), "no such option"),
    ],
)
def test_flags_without_effect_are_refused(bench: Desk, words: tuple[object, ...], message: str) -> None:
    done = project(bench, bench.photo("in/anna.png"), *words)
    assert done.code == 2 and message.casefold() in done.err.casefold()


def test_wrong_usage_is_said_once_and_ends_the_batch(bench: Desk) -> None:
    photos = [bench.photo(f"in/{name}.png") for name in ("anna", "bert")]
    done = bench.run("batch", "edit", *photos, "-o", bench.out, "--set", "happyness=1")
    assert done.code == 2 and done.err.count("happyness") == 1
    assert len(rows(bench)) == 1


def test_no_inputs_is_wrong_usage(bench: Desk) -> None:
    done = project(bench)
    assert done.code == 2 and "no inputs" in done.err


def test_two_batches_do_not_share_a_folder(bench: Desk) -> None:
    photo = bench.photo("in/anna.png")
    bench.out.mkdir()
    with FileLock(bench.out / ".batch.lock"):
        done = project(bench, photo)
    assert done.code == 5 and "another batch writes into" in done.err


def test_only_verbs_for_files_are_offered(bench: Desk) -> None:
    assert bench.run("batch", "sample").code == 2
    done = bench.run("batch", "--help")
    assert all(verb in done.out for verb in ("animate", "edit", "project", "transfer", "video"))


def test_processes_of_their_own_do_the_same_as_this_one(tmp_path: Path) -> None:
    photos = [shutil.copy(EXAMPLE, tmp_path / name) for name in ("a.jpg", "b.jpg")]
    command = [sys.executable, "-m", "latentface"]
    words = ["--set", "smile=0.6", "--no-sign", "--quiet"]
    subprocess.run([*command, "edit", photos[0], *words, "-o", str(tmp_path / "one.png")], check=True, timeout=300)
    many = [*command, "batch", "edit", *photos, *words, "-o", str(tmp_path / "out"), "--jobs", "2"]
    subprocess.run(many, check=True, timeout=300)
    one = (tmp_path / "one.png").read_bytes()
    assert [(tmp_path / "out" / f"{name}.edit.png").read_bytes() for name in "ab"] == [one, one]
