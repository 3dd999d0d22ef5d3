"""The face mesh read in pictures, by a reader that finds bright spots in place of MediaPipe's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError, UsageError
from latentface.training.face_mesh import VERTICES, main, mesh_reader, pictures, read_both, write_mesh
from tests.helpers.portrait_folder import SIDE, person, write_driven, write_folder


def brightest(picture: np.ndarray) -> np.ndarray:
    """All vertices at the brightest pixel."""
    y, x = np.unravel_index(np.argmax(picture.sum(2)), picture.shape[:2])
    return np.tile(np.array([[x, y]], np.float32), (VERTICES, 1))


def test_the_mirror_image_is_read_and_taken_back() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[4, 3] = 255
    for found in read_both(brightest, picture):
        assert found.shape == (VERTICES, 2) and (found == [3, 4]).all()


def test_photographs_and_shards_are_read(tmp_path: Path) -> None:
    faces, driven = write_folder(tmp_path / "faces", 3), write_driven(tmp_path / "driven", 2)
    named = dict(pictures(faces))
    assert list(named) == ["person000.png", "person001.png", "person002.png"]
    np.testing.assert_array_equal(named["person002.png"], person(2, 0))
    assert [name for name, _ in pictures(driven)] == ["100", "101"]
    assert write_mesh(faces, tmp_path / "mesh.npz", brightest) == 3
    with np.load(tmp_path / "mesh.npz") as file:
        assert file["name"].tolist() == list(named) and file["plain"].shape == (3, VERTICES, 2)
        assert file["plain"].max() < SIDE and file["mirrored"].dtype == np.float32
    with pytest.raises(InputError, match="neither"):
        list(pictures(tmp_path))


def test_without_mediapipe_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UsageError, match="pip install"):
        mesh_reader()
    with pytest.raises(UsageError, match="mediapipe"):
        main([str(tmp_path), str(tmp_path / "mesh.npz")])
