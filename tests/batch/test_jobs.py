from __future__ import annotations

from pathlib import Path

import pytest

from latentface.batch.jobs import Found, Job, Names, find_inputs, join, suffixes_of
from latentface.errors import InputError


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_folders_are_searched_at_all_depths_in_order(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", ".hidden.jpg", ".cache/d.jpg", "film.mp4")
    found = list(find_inputs([str(tmp_path)], suffixes_of(photos=True, clips=False)))
    assert [(Path(each.source).name, each.folder) for each in found] == [
        ("a.PNG", ""), ("b.jpg", ""), ("c.webp", "deep/er"),
    ]  # fmt: skip
    with_clips = find_inputs([str(tmp_path)], suffixes_of(photos=True, clips=True))
    assert "film.mp4" in {each.file_name for each in with_clips}


def test_results_are_not_taken_for_inputs(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "out/a.edit.png")
    found = list(find_inputs([str(tmp_path)], suffixes_of(photos=True, clips=False), str(tmp_path / "out")))
    assert [each.file_name for each in found] == ["a.jpg"]


def test_files_and_addresses_are_taken_as_they_are(tmp_path: Path) -> None:
    put(tmp_path, "no_suffix")
    found = list(
        find_inputs([str(tmp_path / "no_suffix"), "s3://bucket/deep/x.jpg"], suffixes_of(photos=True, clips=False))
    )
    assert found == [Found(str(tmp_path / "no_suffix")), Found("s3://bucket/deep/x.jpg")]
    assert found[1].file_name == "x.jpg"


@pytest.mark.parametrize(("name", "words"), [("gone.jpg", "no such file"), ("empty", "nothing to work on")])
def test_what_is_missing_is_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=words) as caught:
        list(find_inputs([str(tmp_path / name)], suffixes_of(photos=True, clips=True)))
    assert name in str(caught.value)


def test_no_two_inputs_share_a_name_in_a_folder() -> None:
    names = Names()
    taken = [names.take(Found(path, folder)) for path, folder in (
        ("/x/a.jpg", ""), ("/x/a.png", ""), ("/y/a.jpg", ""), ("/z/A.jpg", ""), ("/x/a.jpg", "deep"), ("/x/.a", ""),
    )]  # fmt: skip
    assert taken == ["a", "a.png", "a.jpg", "A.jpg-2", "a", ".a"]


def test_places_are_joined_with_slashes() -> None:
    assert join("s3://bucket/", "deep", "", "a.png") == "s3://bucket/deep/a.png"
    assert Job("edit", (), "a.jpg", "/out", "a.edit.png").target == "/out/a.edit.png"
    assert Job("project", (), "a.jpg", "/out").target == "/out"
