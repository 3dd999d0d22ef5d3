"""Things drawn with their masks."""

import numpy as np
import pytest

from latentface.synthface.drawn_occluders import KINDS, render_occluder

TEXTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_mask_and_a_seed_is_a_thing(kind: str) -> None:
    made, again = (render_occluder(kind, 40, np.random.default_rng(3), TEXTURE) for _ in range(2))
    assert made.shape == (40, 40, 4) and made.dtype == np.float32
    assert np.array_equal(made, again) and made.min() >= 0 and made.max() <= 1
    assert 0.01 < (made[..., 3] > 0.5).mean() < 0.9
    other = render_occluder(kind, 40, np.random.default_rng(4), TEXTURE)
    assert not np.array_equal(made, other)
