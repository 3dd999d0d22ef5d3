"""`latentface verify`: several files at once, in words and as JSON."""

from __future__ import annotations

import json

import pytest

from latentface.io.images import Photo, write_photo
from latentface.io.provenance import GENERATED
from latentface.provenance import verify as module
from tests.helpers.cli_desk import Desk
from tests.provenance.marked import marker, smooth_face


def test_files_are_told_one_by_one_and_a_bad_one_does_not_stop_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "marker", marker)
    write_photo(desk.folder / "a.png", Photo(smooth_face(48), source_type=GENERATED))
    done = desk.run("verify", desk.folder / "none.png", desk.folder / "a.png")
    assert done.code == 3 and "no such file" in done.err and "A trained network made" in done.out
    done = desk.run("verify", desk.folder / "a.png", desk.folder / "none.png", "--json")
    told = json.loads(done.out)
    assert told["exit_code"] == 3 and told["files"][0]["source_type"] == GENERATED
    assert told["files"][0]["made_by_network"] is True and "no such file" in told["files"][1]["error"]


def test_it_needs_a_file(desk: Desk) -> None:
    assert desk.run("verify").code == 2
