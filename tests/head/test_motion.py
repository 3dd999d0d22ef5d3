"""How pixels and their light move."""

from __future__ import annotations

import numpy as np

from latentface.head.geometry import Box
from latentface.head.motion import STILL, Gain, Motion


def test_pixels_come_from_where_the_shift_says_in_their_new_light() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    box = Box(8, 4, 24, 20)
    shift = np.zeros((16, 16, 2), np.float32)
    shift[:, 8:] = (3, -2)
    shift[0, 0] = STILL / 2
    gain = Gain(np.full((16, 16, 3), 0.5, np.float32), 1)
    motion = Motion(box, shift, gain)
    moved = motion.move(photo)
    assert np.array_equal(moved[:, :8], photo[4:20, 8:16])
    np.testing.assert_allclose(moved[:, 8:], 0.5 * photo[2:18, 19:27].astype(np.float32), atol=1e-3)


def test_gains_lie_on_a_coarser_grid() -> None:
    values = np.arange(48, dtype=np.float32).reshape(4, 4, 3)
    motion = Motion(Box(10, 10, 22, 22), np.zeros((12, 12, 2), np.float32), Gain(values, 3))
    gains = motion.gains(slice(0, 12))
    assert gains.shape == (12, 12, 3) and np.array_equal(gains[1::3, 1::3], values)
    assert np.array_equal(motion.gains(slice(4, 7)), gains[4:7])
