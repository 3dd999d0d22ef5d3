"""Fixtures of the command-line tests: a desk to work at, see cli_desk."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface import hub
from latentface.faces import alignment
from tests.helpers.cli_desk import Desk, PixelDistance, find_blobs, place_points, write_tiny


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return write_tiny(folder / "tiny.safetensors", 1), write_tiny(folder / "other.safetensors", 2)


@pytest.fixture
def desk(
    tmp_path: Path,
    networks: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: place_points)
    monkeypatch.setattr(hub, "perceptual", lambda device: PixelDistance())
    monkeypatch.chdir(tmp_path)  # where results land
    return Desk(tmp_path, *networks, capsys)
