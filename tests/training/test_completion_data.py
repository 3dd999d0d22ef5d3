"""Faces and batches to train completion with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.training.completion_data import CompletionFaces, load_completion_faces, load_held_out, make_batch
from tests.helpers.portrait_folder import SIDE, write_driven, write_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("faces")
    return write_folder(home / "photos", 13), write_driven(home / "driven", 3)


@pytest.fixture(scope="module")
def faces(folders: tuple[Path, Path]) -> CompletionFaces:
    return load_completion_faces(*folders)[0]


def test_driven_pictures_of_held_out_people_are_left_out(folders: tuple[Path, Path]) -> None:
    training, held_out = load_completion_faces(*folders)
    assert len(held_out) == 2  # the first and the thirteenth
    assert len(training) == 11 + 2 and training.weights.sum() == pytest.approx(1)
    assert torch.equal(load_held_out(folders[0]).images, held_out.images)


def test_batches_hide_or_recolour_and_keep_the_rest(faces: CompletionFaces) -> None:
    batch = make_batch(faces, list(range(len(faces))) * 2, SIDE // 2, np.random.default_rng(3))
    assert batch.truth.shape[2:] == (64, 64) and batch.hole.shape == batch.foreign.shape
    assert torch.equal(batch.shown * (1 - batch.foreign), batch.truth * (1 - batch.foreign))
    assert not (batch.hole * batch.foreign).any() and (batch.changed.sum((1, 2, 3)) > 0).all()
    recoloured = batch.foreign.amax((1, 2, 3)) > 0
    assert 0 < recoloured.sum() < len(recoloured)
    assert ((batch.shown - batch.truth).abs().sum((1, 2, 3)) > 0).equal(recoloured)
    assert 0 < (batch.guide.amax((1, 2, 3)) > 0).sum() < len(batch.guide)
