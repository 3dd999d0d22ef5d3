"""How much work something was, told by the machine's own speed: a busy or slow machine changes nothing."""

from __future__ import annotations

import time

ROUNDS = 5_000_000
FASTEST = 0.02  # seconds that no machine stays below for these: what takes less is not worth timing the loop


class Effort:
    """Processor time since this was made, in units of a plain loop of ROUNDS rounds on this machine (about .1 s)."""

    def __init__(self) -> None:
        self.began = time.process_time()

    def within(self, units: float) -> bool:
        """Whether it was at most so many units. The loop is timed now, when the machine is as busy as it was."""
        spent = time.process_time() - self.began
        return spent <= units * FASTEST or spent <= units * _loop()


def _loop() -> float:
    began = time.process_time()
    for _ in range(ROUNDS):
        pass
    return time.process_time() - began
