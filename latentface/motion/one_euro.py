"""The one-euro filter (Casiez, Roussel and Vogel, CHI 2012): steady when a value is still, quick when it moves."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Generic, TypeVar

import torch

from latentface.arrays import Float64Array

Value = TypeVar("Value", torch.Tensor, Float64Array)


class OneEuro(Generic[Value]):
    """Called with each value, of any shape, and its time in seconds, it returns the smoothed value.

    If the time does not increase, the filter restarts.

    Args:
        strength: 0 to 1, by which the cut-off for a value at rest falls from 8 Hz to 0.5 Hz.
        beta: increase of the cut-off in Hz for a speed of 1 per second.
    """

    SPEED_CUT_OFF = 1.0  # Hz

    def __init__(self, strength: float, beta: float = 4.0) -> None:
        self.least = 8.0 * (0.5 / 8.0) ** strength
        self.beta = beta
        self.before: tuple[Fraction, Value, Value] | None = None  # time, value, speed

    def __call__(self, value: Value, time: Fraction) -> Value:
        """The smoothed value at `time`, in seconds."""
        if self.before is None or time <= self.before[0]:
            self.before = time, value, value * 0
            return value
        last, mean, speed = self.before
        step = float(time - last)
        speed = speed + _share(self.SPEED_CUT_OFF * step) * ((value - mean) / step - speed)
        rate = _TURN * step * (self.least + self.beta * abs(speed))
        steadied: Value = mean + rate / (rate + 1) * (value - mean)
        self.before = time, steadied, speed
        return steadied


_TURN = 2 * math.pi


def _share(cycles: float) -> float:
    """The weight of a new value in a low-pass filter, given the time since the last one in cycles of the cut-off."""
    return _TURN * cycles / (_TURN * cycles + 1)
