"""Integers coded adaptively."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.io.range_coder import RangeDecoder, RangeEncoder


def coded(numbers: list[int]) -> bytes:
    encoder = RangeEncoder()
    for k, number in enumerate(numbers):
        encoder.integer(k % 3, number)
    return encoder.finish()


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0, 4000.0, 1e8])
def test_numbers_come_back(spread: float) -> None:
    numbers = np.random.default_rng(0).normal(0, spread, 2000).round().astype(int).tolist()
    decoder = RangeDecoder(coded(numbers))
    assert [decoder.integer(k % 3) for k in range(len(numbers))] == numbers
    decoder.finish()


def test_costs_about_the_entropy() -> None:
    numbers = (np.random.default_rng(1).random(20_000) < 0.02).astype(int).tolist()
    entropy = -(0.02 * np.log2(0.02) + 0.98 * np.log2(0.98))  # .141 bits each
    # every 1 also codes its sign and length, whose probabilities adapt to nearly nothing
    assert 8 * len(coded(numbers)) / len(numbers) == pytest.approx(entropy, rel=0.2)


def test_cut_off_data_are_refused() -> None:
    numbers = np.random.default_rng(2).normal(0, 50, 500).round().astype(int).tolist()
    decoder = RangeDecoder(coded(numbers)[:-40])
    with pytest.raises(InputError, match="damaged"):
        for k in range(len(numbers)):
            decoder.integer(k % 3)
        decoder.finish()


def test_other_data_do_not_run_on() -> None:
    decoder = RangeDecoder(bytes(np.random.default_rng(3).integers(0, 256, 4000, np.uint8)))
    with pytest.raises(InputError, match="damaged"):
        for _ in range(100_000):
            decoder.integer(0)
        decoder.finish()
