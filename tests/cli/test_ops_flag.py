"""`--ops`: which operations draw, and what `doctor` says about them."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.io.images import read_image
from latentface.ops import native
from latentface.ops.compiler import BuildFailed
from tests.helpers.cli_desk import Desk


def ops_of(desk: Desk, *flags: str) -> dict[str, str]:
    done = desk.run("doctor", "--network", desk.network, "--json", *flags)
    return next(check for check in done.json["checks"] if check["name"] == "ops")


def test_both_draw_the_same_picture(desk: Desk) -> None:
    pictures = []
    for choice in ("native", "reference"):
        path = desk.folder / f"{choice}.png"
        done = desk.run("sample", "--network", desk.network, "--seeds", "0-3", "--ops", choice, "-o", str(path))
        assert done.code == 0, done.err
        pictures.append(read_image(path).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert native._choice == "auto", "the choice ends with the command"


def test_doctor_tells_which(desk: Desk) -> None:
    assert ops_of(desk)["detail"] == "native on cpu"
    assert ops_of(desk, "--ops", "reference")["detail"] == "plain torch on cpu"


def test_a_machine_without_compiler_is_told_and_works(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = BuildFailed("there is no compiler g++ on the path", desk.folder / "cpu.failed")
    monkeypatch.setattr(native, "library", lambda device: missing)
    found = ops_of(desk)
    assert found["status"] == "optional" and "no compiler g++" in found["detail"]
    assert "install a C++ compiler" in found["advice"] and str(desk.folder / "cpu.failed") in found["advice"]
    done = desk.run("sample", "--network", desk.network, "--ops", "native", "-o", str(desk.folder / "a.png"))
    assert done.code == 2 and "--ops native is not possible here: there is no compiler g++" in done.err
    assert desk.run("sample", "--network", desk.network, "-o", str(desk.folder / "a.png")).code == 0
