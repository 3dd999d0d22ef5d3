"""Sessions and pictures that the page holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from latentface.errors import InputError
from latentface.studio.desk import Recent, Shared, explained, new_token


def test_values_that_were_not_used_for_longest_are_forgotten() -> None:
    sessions, made = Recent[Any](2), [object() for _ in range(3)]
    values: list[Any] = made
    sessions.put("a", values[0])
    sessions.put("b", values[1])
    assert sessions.get("a") is values[0]
    sessions.put("c", values[2])
    assert sessions.get("b") is None
    assert sessions.get("a") is values[0]
    assert sessions.get("no such") is None


def test_tokens_cannot_be_guessed() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 22  # 16 bytes


def test_pictures_are_written_once_and_the_oldest_go(tmp_path: Path) -> None:
    shared = Shared(tmp_path, 2)
    greys = [np.full((8, 12, 3), value, np.uint8) for value in (10, 100, 200)]
    first = Path(shared.picture(greys[0]))
    stamp = first.stat().st_mtime_ns
    assert Path(shared.picture(greys[0])) == first
    assert first.stat().st_mtime_ns == stamp
    assert np.abs(np.asarray(Image.open(first)).astype(int) - 10).max() <= 1
    others = [Path(shared.picture(grey)) for grey in greys[1:]]
    assert not first.exists()
    assert all(path.exists() for path in others)


def test_errors_are_shown_as_they_are_worded() -> None:
    @explained
    def fail() -> None:
        raise InputError("no face in <this> photo")

    with pytest.raises(gr.Error, match="no face in <this> photo"):
        fail()


def test_results_are_handed_out_from_the_folder(tmp_path: Path) -> None:
    shared, result = Shared(tmp_path / "shared"), tmp_path / "me.edit.png"
    (tmp_path / "shared").mkdir()
    result.write_bytes(b"first")
    handed = Path(shared.file(result))
    assert (handed.name, handed.read_bytes()) == ("me.edit.png", b"first")
    assert handed.is_relative_to(tmp_path / "shared")
    assert shared.file(result) == str(handed)
    assert shared.files([result, tmp_path / "gone.png"]) == [str(handed)]


def test_files_of_the_machine_are_no_uploads(tmp_path: Path) -> None:
    shared = Shared(tmp_path / "shared")
    inside = tmp_path / "shared" / "upload" / "me.png"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"")
    assert shared.uploaded(str(inside), "photo") == str(inside)
    (inside.parent / "link.png").symlink_to("/etc/passwd")
    for path in (None, "", "/etc/passwd", str(inside.parent / "link.png"), f"{tmp_path}/shared/../me.png"):
        with pytest.raises(InputError, match="photo"):
            shared.uploaded(path, "photo")
