"""The schedule of a search: learning rate, exploratory noise, resolution, and when a crop has gone far enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Larger pictures are averaged down to this side before they are compared, as in the reference projector.
COMPARED_SIDE = 256
#: The lowest resolution that is searched at: below it the perceptual network sees little.
COARSEST_SIDE = 64
#: Networks up to this side gain nothing from low resolutions: their full steps cost little more.
SMALL_SIDE = 128
#: Fractions of the run: learning rate up, learning rate down, exploratory noise (reference values).
RAMP_UP, RAMP_DOWN, NOISE_RAMP = 0.05, 0.25, 0.75
#: Steps over which a loss is compared, and the most that the ramp down takes once it is found flat.
WINDOW, LONGEST_RAMP = 50, 250


def learning_rate(step: float, steps: int, peak: float) -> float:
    """The reference's ramp at step of steps: linear up over the first 5 %, cosine down over the last 25 %."""
    t = step / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / RAMP_DOWN))
    return peak * down * min(1.0, t / RAMP_UP)


def noise_strength(step: float, steps: int) -> float:
    """Strength of the exploratory noise relative to its start: (1 - t / 0.75)^2, then 0."""
    return max(0.0, 1.0 - step / steps / NOISE_RAMP) ** 2


def coarse_sides(drawn: Sequence[int], near: bool) -> list[int]:
    """The sides at which a search begins, of those that the network draws on its way to the full image (ascending).

    From COARSEST_SIDE to COMPARED_SIDE; of a search that begins near its crop only the last, since it has already what
    the others would find. None for a network of SMALL_SIDE or less, whose full steps cost little more.
    """
    if drawn[-1] <= SMALL_SIDE:
        return []
    sides = [side for side in drawn[:-1] if COARSEST_SIDE <= side <= COMPARED_SIDE]
    return sides[-1:] if near else sides


def side_at(step: float, steps: int, share: float, coarse: Sequence[int], full: int) -> int:
    """The side that a step draws: the coarse ones in equal parts of the first `share` of the run, then the full one."""
    passed = step / (share * steps) if share else 1.0
    return coarse[int(passed * len(coarse))] if passed < 1 and coarse else full


class Pace:
    """One crop's way through the schedule: a step at a time, and straight to the ramp down once its loss is flat.

    The ramp down then takes as many steps as it always does, up to LONGEST_RAMP.

    Args:
        steps: of the whole schedule.
        flat: the relative gain over WINDOW steps below which a loss is flat; with 0 none ever is.
    """

    def __init__(self, steps: int, flat: float) -> None:
        self.steps, self.flat = steps, flat
        self.down = steps * (1.0 - RAMP_DOWN)
        #: The next step, the one at which the learning rate begins to fall, and the number of them all.
        self.step, self.turn, self.length = 0, self.down, steps
        self.lowest: list[float] = []

    @property
    def at(self) -> float:
        """Where in the schedule the next step is, in 0 .. steps."""
        if self.step <= self.turn:
            return self.step
        return self.down + (self.step - self.turn) * (self.steps - self.down) / (self.length - self.turn)

    @property
    def through(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.length

    def update(self, loss: float) -> None:
        """Take in the loss of the present step, of the full image and without exploratory noise."""
        self.lowest.append(min([loss, *self.lowest[-1:]]))
        if len(self.lowest) <= WINDOW or self.step + 1 >= self.turn:
            return
        before = self.lowest[-1 - WINDOW]
        if before - self.lowest[-1] < self.flat * before:
            self.turn = self.step + 1
            self.length = self.step + 1 + min(LONGEST_RAMP, math.ceil(self.steps - self.down))
