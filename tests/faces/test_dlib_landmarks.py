"""Landmarks by dlib's predictors: right, wrong, packed and missing files."""

from __future__ import annotations

import bz2
import pickle
from pathlib import Path

import numpy as np
import pytest

from latentface.errors import WeightsError
from latentface.faces.dlib_landmarks import DlibLandmarks, find_dlib68
from tests.helpers.dlib_files import train_predictor


def test_dlib_file_must_be_there_and_be_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such landmark file"):
        DlibLandmarks(tmp_path / "none.dat")
    (tmp_path / "a.dat").write_bytes(b"not a predictor" * 10)
    with pytest.raises(WeightsError, match="not a dlib shape predictor"):
        DlibLandmarks(tmp_path / "a.dat")


def test_dlib_landmarks(tmp_path: Path) -> None:
    train_predictor(tmp_path / "a.dat", 68)
    predictor = DlibLandmarks(tmp_path / "a.dat")
    photo = np.zeros((120, 120, 3), np.uint8)
    points = predictor(photo, np.array([[5, 5, 55, 55], [25, 15, 75, 65]], float))
    assert points.shape == (2, 68, 2)
    np.testing.assert_allclose(points[0], [[10 + i % 40, 10 + i // 2] for i in range(68)], atol=1)
    np.testing.assert_allclose(points[1] - points[0], np.broadcast_to([20, 10], (68, 2)), atol=1)
    again = pickle.loads(pickle.dumps(predictor))  # live, another process has it
    assert np.array_equal(again(photo, np.array([[5, 5, 55, 55]], float))[0], points[0])


def test_dlib_predictor_of_other_points_is_refused(tmp_path: Path) -> None:
    train_predictor(tmp_path / "five.dat", 5)
    with pytest.raises(WeightsError, match="5 points, expected 68"):
        DlibLandmarks(tmp_path / "five.dat")


def test_find_dlib68(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec())
    with pytest.raises(WeightsError, match="face_recognition_models"):
        find_dlib68()
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "shape_predictor_68_face_landmarks.dat"
    file.touch()
    assert find_dlib68() == file
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="builtin") as caught:
        find_dlib68()
    assert caught.value.exit_code == 4


def test_a_packed_predictor_is_the_same_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_predictor(tmp_path / "a.dat")
    packed = tmp_path / "a.dat.bz2"
    packed.write_bytes(bz2.compress((tmp_path / "a.dat").read_bytes()))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    photo, boxes = np.zeros((80, 80, 3), np.uint8), np.array([[5.0, 5, 55, 55]])
    points = DlibLandmarks(packed)(photo, boxes)
    assert np.array_equal(points, DlibLandmarks(tmp_path / "a.dat")(photo, boxes))
    assert list((tmp_path / "temporary").iterdir()) == []
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"a\.dat\.bz2: not a dlib shape predictor"):
        DlibLandmarks(packed)
    packed.write_bytes(bz2.compress(b"something else"))
    with pytest.raises(WeightsError, match="not a dlib shape predictor"):
        DlibLandmarks(packed)
