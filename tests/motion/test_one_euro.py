"""The one-euro filter on arrays and tensors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from latentface.motion.one_euro import OneEuro


def test_arrays_and_tensors_are_filtered_alike() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3, 2)).cumsum(0)
    arrays: OneEuro[np.ndarray] = OneEuro(0.5)
    tensors: OneEuro[torch.Tensor] = OneEuro(0.5)
    for k, value in enumerate(values):
        time = Fraction(k, 30)
        assert tensors(torch.from_numpy(value), time).numpy() == pytest.approx(arrays(value, time))


def test_a_value_at_rest_is_low_passed_at_the_cut_off_of_its_strength() -> None:
    for strength, hertz in ((0.0, 8.0), (0.5, 2.0), (1.0, 0.5)):
        smooth: OneEuro[np.ndarray] = OneEuro(strength, beta=0.0)
        smooth(np.zeros(1), Fraction(0))
        rate = 2 * np.pi * hertz / 25
        assert smooth(np.ones(1), Fraction(1, 25)) == pytest.approx(rate / (rate + 1))


def test_speed_raises_the_cut_off_and_times_that_do_not_rise_begin_anew() -> None:
    slow: OneEuro[np.ndarray] = OneEuro(1.0, beta=0.0)
    quick: OneEuro[np.ndarray] = OneEuro(1.0, beta=4.0)
    for k in range(20):
        behind = [float(k - smooth(np.array([float(k)]), Fraction(k, 25))[0]) for smooth in (slow, quick)]
    assert behind[1] < 0.1 * behind[0]
    assert slow(np.array([5.0]), Fraction(1, 25)) == 5
