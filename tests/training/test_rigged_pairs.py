"""Pairs of a photograph and the same person driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.training.portraits import load_portraits
from latentface.training.rigged_pairs import load_rigged
from tests.helpers.portrait_folder import person, write_driven, write_folder


def test_a_driven_picture_comes_with_its_photograph_and_what_changed(tmp_path: Path) -> None:
    faces, _ = load_portraits(write_folder(tmp_path / "faces", 6))
    pairs = load_rigged(write_driven(tmp_path / "driven", 6), faces)
    assert len(pairs) == 5  # person 0 is held out
    (photos, _), (driven, near), change = pairs.sample(4, np.random.default_rng(0))
    for photo, after in zip(photos, driven, strict=True):
        found = [k for k in range(6) if torch.equal(photo, as_tensor(person(k, 0)))]
        assert len(found) == 1 and found != [0]
        assert torch.equal(after, as_tensor(person(found[0], 1)))
    assert near.shape == (4, 1, 128, 128)
    assert change.tolist() == [[0, 1, 1, 0, 0, 0, 0, 0, 0]] * 4  # a coefficient, 20 degrees of yaw, no light
    assert pairs.controls == 9


def test_pictures_of_other_people_are_refused(tmp_path: Path) -> None:
    faces, held = load_portraits(write_folder(tmp_path / "faces", 3))
    driven = write_driven(tmp_path / "driven", 1)  # the person who is held out
    with pytest.raises(InputError, match="none of its pictures"):
        load_rigged(driven, faces)
    assert len(load_rigged(driven, held)) == 1


def as_tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1) / 127.5 - 1
