from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from latentface.batch.jobs import Job
from latentface.batch.places import WORKING, deliver, digest, exists, fetched, sweep, working_folder
from latentface.errors import InputError, OutputError


def test_a_local_source_is_read_where_it_is(tmp_path: Path) -> None:
    with fetched(str(tmp_path / "a.jpg")) as path:
        assert path == tmp_path / "a.jpg"


def test_a_source_elsewhere_is_copied_and_the_copy_removed() -> None:
    with fsspec.open("memory://photos/a.jpg", "wb") as stream:
        stream.write(b"picture")
    with fetched("memory://photos/a.jpg") as path:
        assert path.name == "a.jpg" and path.read_bytes() == b"picture"
    assert not path.parent.exists()


def test_a_source_that_cannot_be_had_is_named() -> None:
    with (
        pytest.raises(InputError, match=r"memory://photos/none\.jpg: cannot be read"),
        fetched("memory://photos/none.jpg"),
    ):
        raise AssertionError("there is nothing to read")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_results_are_delivered_whole(tmp_path: Path, elsewhere: bool) -> None:
    folder = f"memory://results/{tmp_path.name}" if elsewhere else str(tmp_path / "out" / "deep")
    job = Job("edit", (), "a.jpg", folder, "a.png")
    with working_folder(job) as made:
        (made / "a.png").write_bytes(b"new")
        (made / "sub").mkdir()
        (made / "sub/a.json").write_bytes(b"{}")
        assert not exists(job.target)
        assert deliver(made, job) == ("a.png", "sub/a.json")
    assert exists(job.target) and exists(f"{folder}/sub/a.json")
    assert not made.exists()
    with fsspec.open(job.target, "rb") as stream:
        assert stream.read() == b"new"


def test_a_job_that_fails_delivers_nothing(tmp_path: Path) -> None:
    job = Job("edit", (), "a.jpg", str(tmp_path / "out"), "a.png")
    with pytest.raises(RuntimeError), working_folder(job) as made:
        (made / "a.png").write_bytes(b"half")
        raise RuntimeError
    assert list((tmp_path / "out").iterdir()) == []


def test_results_that_cannot_be_written_are_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OutputError, match="choose another folder with -o"),
        working_folder(Job("edit", (), "a.jpg", str(tmp_path / "file"), "a.png")),
    ):
        raise AssertionError("a file is no folder")


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    left = tmp_path / "deep" / f"{WORKING}x1"
    left.mkdir(parents=True)
    (left / "half.png").write_bytes(b"")
    (tmp_path / "deep/done.png").write_bytes(b"")
    sweep(str(tmp_path))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["done.png"]


def test_the_digest_of_a_folder_knows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"a")
    (tmp_path / "1.png").write_bytes(b"b")
    first = digest(tmp_path)
    assert first == digest(tmp_path)
    (tmp_path / "1.png").rename(tmp_path / "2.png")
    renamed = digest(tmp_path)
    (tmp_path / "2.png").write_bytes(b"c")
    assert len({first, renamed, digest(tmp_path)}) == 3


def test_a_digest_needs_a_file_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        digest(tmp_path / "none")
