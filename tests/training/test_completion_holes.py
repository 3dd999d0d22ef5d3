"""Holes to train with: each kind marks something, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.training.completion_holes import HOLES, sample_hole
from tests.helpers.portrait_folder import places


@pytest.mark.parametrize("kind", HOLES)
def test_each_kind_marks_a_part_of_the_crop(kind: str) -> None:
    for seed in range(5):
        hole = sample_hole(places(), 128, np.random.default_rng(seed), kind)
        assert set(np.unique(hole)) == {0.0, 1.0} and hole.mean() < 0.9
        assert np.array_equal(hole, sample_hole(places(), 128, np.random.default_rng(seed), kind))


def test_the_centre_is_a_quarter_and_spectacles_lie_at_the_eyes() -> None:
    assert sample_hole(places(), 128, np.random.default_rng(0), "centre").mean() == 0.25
    rows = np.nonzero(sample_hole(places(), 128, np.random.default_rng(0), "spectacles"))[0]
    assert abs(rows.mean() - places()[36:48, 1].mean()) < 12


def test_kinds_are_mixed_when_none_is_named() -> None:
    random = np.random.default_rng(0)
    shares = [float(sample_hole(places(), 64, random).mean()) for _ in range(20)]
    assert len(set(shares)) > 10
