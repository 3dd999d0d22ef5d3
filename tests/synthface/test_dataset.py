"""Shards of renders: whole, and not rendered twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.errors import InputError, UsageError
from latentface.synthface.dataset import SHARD, render_dataset, render_shard
from latentface.synthface.library import Library
from latentface.training.data import load_shards


def test_dataset_shards_are_whole_and_not_drawn_twice(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.save(tmp_path / "heads.npz")
    monkeypatch.setattr("latentface.synthface.dataset.SHARD", 6)
    path = render_shard(tmp_path / "heads.npz", tmp_path, 1, 32)
    written = path.stat().st_mtime_ns
    assert render_shard(tmp_path / "heads.npz", tmp_path, 1, 32) == path and path.stat().st_mtime_ns == written
    shard = load_shards(tmp_path, ("images", "landmarks", "mask", "emotion", "seed"))
    assert shard["images"].shape == (6, 32, 32, 3) and shard["seed"].tolist() == list(range(6, 12))
    assert SHARD == 500
    with pytest.raises(InputError, match="no shard"):
        load_shards(tmp_path / "nothing")
    with pytest.raises(InputError, match="lacks gaze"):
        load_shards(tmp_path, ("gaze",))


@pytest.mark.parametrize("views", [0, 3, 7])
def test_a_person_is_never_cut_by_the_end_of_a_shard(tmp_path: Path, views: int) -> None:
    with pytest.raises(UsageError, match="divisor of 500"):
        render_dataset(tmp_path / "heads.npz", tmp_path, 500, views=views)
