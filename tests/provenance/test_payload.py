"""The code of the mark's 48 bits: what it puts right, and what it refuses."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from latentface.provenance.payload import BITS, FALSE_ALARMS, KINDS, MOST_ERRORS, Payload

ALL = [Payload(kind, version, number) for kind in KINDS for version in (0, 7) for number in (0, 1, 512, 1023)]


@pytest.mark.parametrize("payload", ALL[::5])
def test_as_many_errors_as_promised_are_put_right(payload: Payload) -> None:
    bits = payload.to_bits()
    assert bits.shape == (BITS,) and set(bits.tolist()) == {0, 1}
    assert Payload.from_bits(bits) == (payload, 0)
    for places in [*combinations(range(0, BITS, 5), MOST_ERRORS), (0, 1), (46, 47)]:
        wrong = bits.copy()
        wrong[list(places)] ^= 1
        assert Payload.from_bits(wrong) == (payload, MOST_ERRORS)


def test_two_words_differ_in_eleven_bits_or_more() -> None:
    """The code is linear, so the lightest sum of two words is looked for among the sums of a basis' subsets."""
    zero = Payload("other", 0, 0).to_bits()
    basis = [Payload("other", 0, 1 << k).to_bits() ^ zero for k in range(10)]
    basis += [Payload(KINDS[1 << k], 0, 0).to_bits() ^ zero for k in range(4)]
    basis += [Payload("other", 1 << k, 0).to_bits() ^ zero for k in range(3)]
    sums = np.zeros((1, BITS), np.uint8)
    for word in basis:
        sums = np.concatenate([sums, sums ^ word])
    assert len(sums) == 2**17 and sums[1:].sum(1).min() == 11


def test_chance_is_accepted_as_rarely_as_computed() -> None:
    """Of 20,000 random words 0.01 are accepted on average; three or more would be a fault."""
    assert pytest.approx(2**17 * (1 + 48 + 48 * 47 / 2) / 2**48) == FALSE_ALARMS and FALSE_ALARMS < 1e-6
    words = np.random.default_rng(0).integers(0, 2, (20_000, BITS), np.uint8)
    assert sum(Payload.from_bits(word) is not None for word in words) < 3


def test_three_errors_are_refused() -> None:
    bits = Payload("edit", 1, 5).to_bits()
    bits[[3, 20, 41]] ^= 1
    assert Payload.from_bits(bits) is None


def test_the_number_comes_from_the_pixels() -> None:
    one, other = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    assert Payload.of("edit", one) == Payload.of("edit", one) != Payload.of("edit", other)
    assert Payload.of("something new", one).kind == "other"
