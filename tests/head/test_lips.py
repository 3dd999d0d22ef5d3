"""The rim of lips takes the light of the skin around it."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.head.lips import spread_light


def test_light_spreads_from_where_it_is_known() -> None:
    there = np.zeros((20, 30), bool)
    there[5:15, 5:25] = True
    column = np.nonzero(there)[1]
    known = column < 12
    light = spread_light(there, known, np.where(known, 0.7, 9.0).astype(np.float32), 2.0)
    assert light[column < 15] == pytest.approx(0.7, abs=0.01)
    assert light.max() <= 1.01
    assert light[column == 24] == pytest.approx(1.0, abs=0.05)


def test_no_known_light_is_no_change() -> None:
    there = np.ones((4, 4), bool)
    assert spread_light(there, np.zeros(16, bool), np.full(16, 3.0, np.float32), 1.0) == pytest.approx(1.0)
