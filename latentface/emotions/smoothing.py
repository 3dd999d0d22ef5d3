"""Segments from the emotions of single frames: the path of least cost through the emotions, computed online.

The probabilities of a look count for the time until the next look, and every change of emotion has a cost. The
path of least cost is found by the Viterbi algorithm (Forney 1973). Looks on whose emotion all paths agree are returned
at once, so that a film of any length needs memory only for its last, undecided seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from latentface.arrays import Float64Array
from latentface.emotion import Emotion, EmotionSegment
from latentface.faces.tracking import Box

_FLOOR = 0.02  # smaller probabilities count as this one
_MOST = 300  # largest number of undecided looks
_UNSEEN = 2.0  # seconds without a face after which it counts as neutral


@dataclass(frozen=True)
class Look:
    """One classified frame: its time in seconds, and the emotion probabilities of the face in `box`, or no face.

    box is in pixels of the film, or of a copy with a long side of 1280 if that is smaller.
    track: number of the face, counted from 1; a new number is a different face, or the same one found again.
    """

    time: Fraction
    chances: tuple[float, ...] | None
    box: Box | None = None
    track: int = 0


class Smoother:
    """Decides the emotion of each look as soon as later looks can no longer change it.

    Args:
        steady: seconds for which another emotion must be clearly visible to count.
    """

    def __init__(self, steady: float) -> None:
        self.change = steady / 2  # there and back
        self.costs = np.zeros(len(Emotion))
        self.waiting: list[
            tuple[Look, float, NDArray[np.intp]]
        ] = []  # with the predecessor of each emotion on its path
        self.track = 0

    def push(self, look: Look, seconds: float) -> list[tuple[Look, float, Emotion]]:
        """Add a look that counts for `seconds`; returns the looks that are now decided, with their emotions."""
        change = 0.0 if look.track != self.track else self.change  # a new face may show any emotion at no cost
        self.track = look.track
        cheapest = int(self.costs.argmin())
        stay = self.costs <= self.costs[cheapest] + change
        source = np.where(stay, np.arange(len(Emotion)), cheapest)
        self.costs = np.minimum(self.costs, self.costs[cheapest] + change) + self._cost(look, seconds)
        self.costs -= self.costs.min()
        self.waiting.append((look, seconds, source))
        return self._decided()

    def close(self) -> list[tuple[Look, float, Emotion]]:
        """The remaining looks, decided by the path of least cost."""
        return self._give_out(len(self.waiting), int(self.costs.argmin()))

    def _cost(self, look: Look, seconds: float) -> Float64Array:
        """The cost [7] of each emotion: 0 if it is certain, the duration of the look if it is impossible."""
        if look.chances is None:
            costs = np.full(len(Emotion), seconds * 2 * self.change / _UNSEEN)
            costs[Emotion.NEUTRAL.index] = 0
            return costs
        evidence = np.log(np.clip(look.chances, _FLOOR, 1)) / math.log(_FLOOR)
        return np.asarray(seconds * evidence)

    def _decided(self) -> list[tuple[Look, float, Emotion]]:
        full = len(self.waiting) > _MOST  # two emotions may be tied for hours; then the cheaper path decides
        paths = self.costs.argmin(0, keepdims=True) if full else np.arange(len(Emotion))
        for k in range(len(self.waiting) - 1, 0, -1):
            paths = self.waiting[k][2][paths]
            if (paths == paths[0]).all() and (k <= _MOST // 2 or not full):
                return self._give_out(k, int(paths[0]))
        return []

    def _give_out(self, count: int, last: int) -> list[tuple[Look, float, Emotion]]:
        """The first undecided looks, the last of which has the given emotion."""
        names, found = list(Emotion), []
        for look, seconds, source in reversed(self.waiting[:count]):
            found.append((look, seconds, names[last]))
            last = int(source[last])
        del self.waiting[:count]
        return found[::-1]


def to_segments(looks: Iterable[Look], steady: float) -> Iterator[EmotionSegment]:
    """Segments of looks in time order; neighbours differ in emotion.

    A segment's strength is the mean probability of its emotion over the time in which a face was visible; 1 for the
    neutral face.

    Args:
        looks: each counts until the next, so the last one only marks the end.
        steady: see `Smoother`.
    """
    emotion: Emotion | None = None
    seconds = seen = sure = 0.0
    for look, length, now in _decisions(looks, Smoother(steady)):
        if emotion is not None and now is not emotion:
            yield _segment(emotion, seconds, sure / seen if seen else 0.0)
            seconds = seen = sure = 0.0
        emotion, seconds = now, seconds + length
        if look.chances is not None:
            seen, sure = seen + length, sure + length * look.chances[now.index]
    if emotion is not None:
        yield _segment(emotion, seconds, sure / seen if seen else 0.0)


def _decisions(looks: Iterable[Look], smoother: Smoother) -> Iterator[tuple[Look, float, Emotion]]:
    for look, following in pairwise(looks):
        yield from smoother.push(look, float(following.time - look.time))
    yield from smoother.close()


def _segment(emotion: Emotion, seconds: float, sure: float) -> EmotionSegment:
    strength = 1.0 if emotion is Emotion.NEUTRAL else round(min(sure, 1.0), 3)
    return EmotionSegment(emotion, strength, round(seconds, 3) or 0.001)
