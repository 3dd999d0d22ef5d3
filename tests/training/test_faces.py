"""Rendered faces from shards: order, masks, labels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.training.faces import load_faces
from tests.helpers.drawn_faces import write_shards


def test_shards_are_read_in_order(tmp_path):
    folder = write_shards(tmp_path / "a", count=6, shards=2)
    faces = load_faces([folder], ("emotion",))
    assert faces.images.shape == (6, 3, 128, 128) and faces.points.shape == (6, 68, 2)
    assert faces.masks is not None and faces.masks.shape == (6, 1, 128, 128)
    first = np.load(folder / "shard-00000.npz")["images"][1]
    np.testing.assert_array_equal(faces.images[1].permute(1, 2, 0), first)
    assert faces.labels["emotion"].tolist() == [0] * 6 and len(faces.part(1, 3).labels["emotion"]) == 2
    assert len(load_faces([folder, folder])) == 12
    assert load_faces([write_shards(tmp_path / "b", count=4, with_mask=False)]).masks is None


def test_folders_without_shards_are_refused(tmp_path):
    with pytest.raises(InputError, match="no shard"):
        load_faces([tmp_path])
    np.savez(tmp_path / "shard-00000.npz", images=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="landmarks"):
        load_faces([tmp_path])
    with pytest.raises(InputError, match="head"):
        load_faces([write_shards(tmp_path / "b", count=2, shards=1)], ("head",))
