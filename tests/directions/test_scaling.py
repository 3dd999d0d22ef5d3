"""Directions as steps: units, rows, arrays of other tools, and how far is too far."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.directions.scaling import edited, excess, from_array, scaled, w_samples
from latentface.errors import UsageError
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator, GeneratorConfig

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8)
ROWS, WIDTH = CONFIG.num_ws, CONFIG.w_dim


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG, seed=1)


def axis(number: int) -> np.ndarray:
    return np.eye(WIDTH)[number]


class TestSteering:
    def test_there_and_back_is_the_same_code(self, generator: Generator) -> None:
        latent = Latent(torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0)), generator.fingerprint)
        direction = from_array(np.random.default_rng(0).normal(size=WIDTH), generator, "joy")
        for strength in (0.5, 2.0, 3.0):
            back = edited(edited(latent, [(direction, strength)]), [(direction, -strength)])
            torch.testing.assert_close(back.ws, latent.ws, rtol=0, atol=1e-6)

    def test_only_the_rows_named_move(self, generator: Generator) -> None:
        latent = Latent(torch.zeros(ROWS, WIDTH), generator.fingerprint)
        direction = from_array(np.ones((ROWS, WIDTH), np.float32), generator, "joy")
        moved = edited(latent, [(direction, 1.0), (direction, 1.0)], rows=[2])
        torch.testing.assert_close(moved.ws[2], 2 * direction.values[2])
        assert moved.ws[[0, 1, 3]].abs().max() == 0

    def test_arrays_of_other_tools(self, generator: Generator) -> None:
        row = np.random.default_rng(0).normal(size=WIDTH).astype(np.float32)
        first = from_array(row, generator, "age")
        for array in (7 * row[None], np.tile(row, (1, ROWS, 1))):
            torch.testing.assert_close(from_array(array, generator, "age").values, first.values)
        for bad in (np.ones((3, WIDTH)), np.ones(WIDTH - 1), np.ones(WIDTH, np.int64), np.full(WIDTH, np.nan)):
            with pytest.raises(UsageError):
                from_array(bad, generator, "age")
        with pytest.raises(UsageError, match="zero"):
            from_array(np.zeros(WIDTH), generator, "age")

    def test_excess_counts_deviations_beyond_the_mean(self, generator: Generator) -> None:
        direction = scaled(from_array(axis(0), generator, "joy"), w_samples(generator))
        mean = Latent(w_samples(generator).mean(0).expand(ROWS, -1), generator.fingerprint)
        for strength in (1.0, 4.0):
            far = excess(mean, edited(mean, [(direction, strength)]), w_samples(generator))
            assert far == pytest.approx(strength, rel=1e-3)
        assert excess(mean, mean, w_samples(generator)) == 0
        assert excess(edited(mean, [(direction, -3.0)]), mean, w_samples(generator)) == pytest.approx(0, abs=1e-3)
