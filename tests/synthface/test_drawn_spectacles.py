"""Spectacles that are put on faces, with their truth."""

import numpy as np
import pytest

from latentface.synthface.drawn_spectacles import put_on

SKIN = np.broadcast_to(np.float32([0.8, 0.6, 0.5]), (80, 176, 3))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_neither_frame_nor_glass_stays_but_for_shadows(seed):
    worn = put_on(SKIN, 0.0125, 0.45, np.random.default_rng(seed))
    assert worn.colours.shape == SKIN.shape and worn.frame.shape == worn.glass.shape == SKIN.shape[:2]
    assert worn.colours.min() >= 0 and worn.colours.max() <= 1
    free = (worn.frame == 0) & (worn.glass == 0)
    assert (worn.colours[free] <= SKIN[free] + 1e-6).all()
    assert worn.frame.mean() > 0.005 and worn.glass.mean() > 0.1 and (worn.frame + worn.glass).max() <= 1 + 1e-6
    left, right = worn.glass[:, :88].mean(), worn.glass[:, 88:].mean()
    assert 0.5 < left / right < 2


def test_a_seed_is_a_pair_of_spectacles():
    first, again, other = (put_on(SKIN, 0.0125, 0.45, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.colours, again.colours) and not np.array_equal(first.frame, other.frame)
