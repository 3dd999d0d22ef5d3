"""Shards of renders: whole, and not rendered twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError, UsageError
from latentface.synthface.dataset import SHARD, render_dataset, render_shard, sample_turned
from latentface.synthface.library import Library
from latentface.synthface.renderer import Renderer
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


def test_heads_turn_as_far_as_asked(renderer: Renderer) -> None:
    views = [sample_turned(renderer, seed, 5, 60.0) for seed in range(30)]
    turns = np.array([view.yaw for view in views])
    assert np.abs(turns).max() <= 60 and turns.min() < -40 and turns.max() > 40
    for first in (0, 5):
        assert all(np.array_equal(view.identity, views[first].identity) for view in views[first : first + 5])
    plain = sample_turned(renderer, 2, 5, 0.0)
    assert plain.yaw != views[2].yaw and plain.gaze == views[2].gaze and plain.backdrop.shape != views[2].backdrop.shape
