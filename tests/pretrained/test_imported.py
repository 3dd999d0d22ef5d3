"""Networks under names of the user's choice: which names can be, which are taken, what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface import pretrained
from latentface.errors import OutputError, UsageError
from latentface.pretrained import imported
from tests.helpers.cli_desk import write_tiny

pytestmark = pytest.mark.usefixtures("own_cache")


def test_an_imported_network_is_found_by_its_name(own_cache: Path) -> None:
    assert imported.names() == [] and imported.path_of("mine") is None
    write_tiny(imported.place("mine"), 1)
    write_tiny(imported.place("a.second-one"), 2)
    assert imported.names() == ["a.second-one", "mine"]
    assert imported.path_of("mine") == own_cache / "imported" / "mine.safetensors"
    assert pretrained.load_generator("mine").config.resolution == 16
    assert pretrained.resolve("mine") == imported.path_of("mine")


def test_files_that_no_name_can_mean_are_not_listed() -> None:
    write_tiny(imported.place("mine"), 1)
    (imported.folder() / "not a name.safetensors").write_bytes(b"x")
    (imported.folder() / "folder.safetensors").mkdir()
    (imported.folder() / "notes.txt").write_text("x")
    assert imported.names() == ["mine"]


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "a/b", "..", "\u00e9t\u00e9", "x" * 81, "-flag"])
def test_names_that_are_no_file_names(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a network"):
        imported.place(name)
    assert imported.path_of(name) is None


@pytest.mark.parametrize("name", ["synthface-128", "ffhq-1024", "vgg16"])
def test_names_of_known_networks_are_theirs(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is the name of a known network"):
        imported.place(name, overwrite=True)


def test_a_taken_name_is_given_only_with_leave() -> None:
    write_tiny(imported.place("mine"), 1)
    with pytest.raises(UsageError, match="a network named mine already exists"):
        imported.place("mine")
    assert imported.place("mine", overwrite=True) == imported.path_of("mine")


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set LATENTFACE_CACHE"):
        imported.place("mine")
