"""The one-euro filter (Casiez, Roussel and Vogel, CHI 2012): steady when a value is still, quick when it moves."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Generic, TypeVar

import torch

from latentface.arrays import Float64Array

Value = TypeVar("Value", torch.Tensor, Float64Array)


class OneEuro(Generic[Value]):
    """Called with each value, of any shape, and its time in seconds, it gives the steadied one.

    A value that is not later than the one before begins anew.

    Args:
        strength: 0..1; the cut-off of a value at rest falls from 8 Hz to 0.5 Hz.
        beta: Hz by which a speed of 1 a second raises the cut-off.
    """

    SPEED_CUT_OFF = 1.0  # Hz

    def __init__(self, strength: float, beta: float = 4.0) -> None:
        self.least = 8.0 * (0.5 / 8.0) ** strength
        self.beta = beta
        self.before: tuple[Fraction, Value, Value] | None = None  # time, value, speed

    def __call__(self, value: Value, time: Fraction) -> Value:
        """The steadied value at `time`, in seconds."""
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
    """How much of a new value a low pass takes over that lies so many cycles of its cut-off after the last."""
    return _TURN * cycles / (_TURN * cycles + 1)
