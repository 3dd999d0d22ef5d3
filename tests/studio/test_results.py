"""Names of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.errors import OutputError
from latentface.studio.results import Results


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    results = Results(tmp_path / "out")
    first = results.new("me.jpg", "edit.png")
    first.write_bytes(b"kept")
    assert first.name == "me.edit.png"
    assert results.new("me.jpg", "edit.png").name == "me-2.edit.png"
    assert results.new("me.jpg", "edit.png").name == "me-3.edit.png", "a name that was given away is taken"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "", "a/../../b.png", ".hidden"])
def test_names_never_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    path = Results(tmp_path / "out").new(name, "edit.png")
    assert path.parent == tmp_path / "out"
    assert path.name.endswith(".edit.png")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make this folder"):
        Results(tmp_path / "file" / "out").new("a.png", "edit.png")
