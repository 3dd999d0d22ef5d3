"""Patches that are seen elsewhere in a picture match those of a hole."""

import numpy as np
import pytest

from latentface.patches import PatchMatches


def checks() -> np.ndarray:
    """A chessboard of squares four pixels wide, float32 [40, 48, 3]."""
    rows, columns = np.indices((40, 48))
    return np.where(((rows // 4 + columns // 4) % 2)[..., None] > 0, 200.0, 50.0).astype(np.float32).repeat(3, axis=2)


def hole() -> np.ndarray:
    place = np.zeros((40, 48), bool)
    place[16:23, 18:26] = True
    return place


def test_a_pattern_is_found_elsewhere() -> None:
    matches = PatchMatches(checks(), hole(), 2)
    matches.search(np.random.default_rng(0))
    assert np.median(matches.apart) == 0
    assert np.abs(matches.drawn() - checks())[hole()].mean() < 5
    rows, columns = np.nonzero(hole())
    away = matches.shifts[rows, columns]
    assert away.any(axis=1).all()
    assert not matches.whole[hole()].any() and matches.whole[rows + away[:, 0], columns + away[:, 1]].all()


def test_a_former_search_is_gone_on_with() -> None:
    first = PatchMatches(checks(), hole(), 2)
    first.search(np.random.default_rng(0))
    second = PatchMatches(checks(), hole(), 2)
    second.search(np.random.default_rng(1), first.shifts)
    assert second.apart.sum() <= first.apart.sum()


def test_a_guess_that_is_not_trusted_does_not_decide() -> None:
    stripes = np.where((np.arange(48) // 4 % 2)[None, :, None] > 0, 200.0, 50.0).astype(np.float32)
    truth = np.broadcast_to(stripes, (40, 48, 3))
    slit = np.zeros((40, 48), bool)
    slit[16:19, 12:36] = True
    guess = np.where(slit[..., None], 250 - truth, truth)  # bright and dark the wrong way round
    errors = []
    for trust in (None, np.where(slit, 0, 1).astype(np.float32)):
        matches = PatchMatches(guess, slit, 2, trust=trust)
        matches.search(np.random.default_rng(0))
        errors.append(np.abs(matches.drawn() - truth)[slit].mean())
    assert errors[1] < 10 < errors[0]


def test_only_the_wanted_part_is_drawn() -> None:
    wanted = hole()
    wanted[:, 22:] = False
    matches = PatchMatches(checks(), hole(), 1, wanted)
    matches.search(np.random.default_rng(0))
    assert not matches.shifts[:, 24:].any() and matches.shifts[16:23, 18:22].any(axis=2).all()


def test_without_surroundings_nothing_can_be_found() -> None:
    matches = PatchMatches(checks(), np.ones((40, 48), bool), 2)
    assert not len(matches.source)
    with pytest.raises(ValueError):
        matches.search(np.random.default_rng(0))
