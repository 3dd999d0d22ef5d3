"""The command lines that do what the page did."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from latentface import cli
from latentface.io.images import read_image
from latentface.studio.commands import edit_commands
from latentface.studio.session import Edited, Subject


@dataclass(frozen=True)
class Named:
    name: str
    number: int


def test_one_line_for_each_time_that_changes_were_applied() -> None:
    steps = ((1, {"smile+": 0.5}), (2, {"anger": 2.0}))
    lines = edit_commands(Edited(Named("my photo.jpg", 2), {"yaw+": -3.0}, steps), ".jpg").splitlines()  # type: ignore[arg-type]
    assert lines == [
        "latentface edit 'my photo.jpg' --face 1 --set smile+=0.5 -o 'my photo.step1.png'",
        "latentface edit 'my photo.step1.png' --face 2 --set anger=2 -o 'my photo.step2.png'",
        "latentface edit 'my photo.step2.png' --face 2 --set yaw+=-3 -o 'my photo.edit.jpg'",
    ]


def test_nothing_changed_is_no_line() -> None:
    assert edit_commands(Edited(Named("a.png", 1))) == ""  # type: ignore[arg-type]


def test_the_lines_give_the_same_pixels(astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / astronaut.name).write_bytes(astronaut.read_bytes())
    edited = Edited(Subject.read(astronaut.name), {"brows+": 0.6}).applied()
    edited = Edited(edited.subject, {"pucker+": 0.7, "yaw+": -4.0}, edited.earlier)
    for line in edit_commands(edited).splitlines():
        program, *words = shlex.split(line)
        assert program == "latentface"
        assert cli.run([*words, "--no-mark", "--no-sign"]) == 0
    assert np.array_equal(read_image("astronaut.edit.png"), edited.subject.render(edited.changes).rgb)
