"""Shards as batches: pictures in range, weights of pixels at eyes and mouth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.training.data import Pairs, image_batch, join, load_pairs, load_shards


def test_weights_of_pixels_follow_eyes_and_mouth(tmp_path: Path) -> None:
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[36:] = (40.0, 88.0)
    picture = np.zeros((1, 128, 128, 3), np.uint8)
    np.savez(tmp_path / "shard-00000.npz", images=picture, landmarks=landmarks[None], factors=np.ones((1, 2)))
    pairs = load_pairs(tmp_path)
    assert len(pairs) == 1 and pairs.factors.dtype == torch.float32
    near = pairs.features[0]
    row, column = np.unravel_index(near.argmax(), near.shape)
    assert (row, column) in {(22, 10), (22, 9), (21, 10), (21, 9)} and near.max() > 200 and near.min() == 0
    _, weights = pairs.batch(np.array([0]), 64, feature_weight=3.0)
    assert weights.shape == (1, 1, 64, 64)
    assert weights[0, 0, 44, 20] > 3 and float(weights.min()) == 1
    np.savez(tmp_path / "shard-00001.npz", images=picture, landmarks=landmarks[None])
    with pytest.raises(InputError, match="lacks factors"):
        load_pairs(tmp_path)


def test_batches_are_area_averages_in_range(pairs: Pairs) -> None:
    batch = image_batch(pairs.images, np.array([3, 5]), 16)
    expected = pairs.images[5].reshape(16, 2, 16, 2, 3).mean((1, 3)) / 127.5 - 1
    np.testing.assert_allclose(batch[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_sets_are_cut_and_joined(pairs: Pairs) -> None:
    whole = join([pairs[:10], pairs[10:]])
    assert len(pairs[:10]) == 10 and len(whole) == len(pairs)
    assert np.array_equal(whole.images, pairs.images) and torch.equal(whole.factors, pairs.factors)


def test_shards_are_joined_in_order_and_counted(tmp_path: Path) -> None:
    for k in range(3):
        np.savez(
            tmp_path / f"shard-{k:05d}.npz",
            images=np.full((2, 4, 4, 3), k, np.uint8),
            seed=np.array([2 * k, 2 * k + 1]),
        )
    assert load_shards(tmp_path, ("seed",))["seed"].tolist() == list(range(6))
    assert load_shards(tmp_path, ("images", "seed"), 1, 2)["seed"].tolist() == [2, 3]
    with pytest.raises(InputError, match="lacks emotion"):
        load_shards(tmp_path, ("emotion",))
    with pytest.raises(InputError, match="holds no shard"):
        load_shards(tmp_path, first=3)
