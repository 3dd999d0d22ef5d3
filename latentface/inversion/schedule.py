"""The schedule of a search: learning rate, exploratory noise, resolution, and early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Larger pictures are reduced to this size before they are compared, as in the reference projector.
COMPARED_SIDE = 256
#: The lowest resolution of a search: at lower ones the perceptual network has too little to compare.
COARSEST_SIDE = 64
#: Networks up to this resolution gain nothing from lower ones: their full steps cost little more.
SMALL_SIDE = 128
#: Fractions of the run: learning rate up, learning rate down, exploratory noise (reference values).
RAMP_UP, RAMP_DOWN, NOISE_RAMP = 0.05, 0.25, 0.75
#: Steps over which a loss is compared, and the maximum length of the final ramp once it is flat.
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
    """The lower resolutions at which a search begins, from the network's intermediate resolutions (ascending).

    They range from COARSEST_SIDE to COMPARED_SIDE. A search that begins near its crop uses only the last, because it
    already has what the others would find. Networks of up to SMALL_SIDE use none, because their full steps cost little
    more.
    """
    if drawn[-1] <= SMALL_SIDE:
        return []
    sides = [side for side in drawn[:-1] if COARSEST_SIDE <= side <= COMPARED_SIDE]
    return sides[-1:] if near else sides


def side_at(step: float, steps: int, share: float, coarse: Sequence[int], full: int) -> int:
    """The resolution of a step: the coarse ones in equal parts of the first `share` of the run, then the full one."""
    passed = step / (share * steps) if share else 1.0
    return coarse[int(passed * len(coarse))] if passed < 1 and coarse else full


class Pace:
    """The progress of one crop through the schedule, which skips to the final ramp once its loss is flat.

    The final ramp then has its usual length, up to LONGEST_RAMP.

    Args:
        steps: the length of the whole schedule.
        flat: the relative gain over WINDOW steps below which a loss counts as flat; 0 disables this.
    """

    def __init__(self, steps: int, flat: float) -> None:
        self.steps, self.flat = steps, flat
        self.down = steps * (1.0 - RAMP_DOWN)
        #: The next step, the one at which the learning rate begins to fall, and the number of them all.
        self.step, self.turn, self.length = 0, self.down, steps
        self.lowest: list[float] = []

    @property
    def at(self) -> float:
        """The position of the next step in the schedule, from 0 to steps."""
        if self.step <= self.turn:
            return self.step
        return self.down + (self.step - self.turn) * (self.steps - self.down) / (self.length - self.turn)

    @property
    def through(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.length

    def update(self, loss: float) -> None:
        """Record the loss of the current step, for the full image and without exploratory noise."""
        self.lowest.append(min([loss, *self.lowest[-1:]]))
        if len(self.lowest) <= WINDOW or self.step + 1 >= self.turn:
            return
        before = self.lowest[-1 - WINDOW]
        if before - self.lowest[-1] < self.flat * before:
            self.turn = self.step + 1
            self.length = self.step + 1 + min(LONGEST_RAMP, math.ceil(self.steps - self.down))
