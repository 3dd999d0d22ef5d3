"""Runs of looks at a film, and the segments they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from latentface.emotion import Emotion, EmotionSegment
from latentface.emotions.smoothing import Look


def sure(emotion: Emotion, chance: float = 0.94) -> tuple[float, ...]:
    """Chances of one emotion, the rest spread over the others."""
    return tuple(chance if other is emotion else (1 - chance) / 6 for other in Emotion)


def looks(*runs: tuple[Emotion | None, int], rate: int = 5, track: int = 1) -> Iterator[Look]:
    """Looks at that rate: runs of (emotion or None, how many)."""
    seen = [emotion for emotion, count in runs for _ in range(count)]
    for k, emotion in enumerate(seen):
        chances = None if emotion is None else sure(emotion)
        yield Look(Fraction(k, rate), chances, None if chances is None else (0, 0, 9, 9), track)


def ended(*runs: tuple[Emotion | None, int], rate: int = 5) -> list[Look]:
    """The same with the look that tells the end."""
    seen = list(looks(*runs, rate=rate))
    return [*seen, Look(seen[-1].time + Fraction(1, rate), None)]


def read_back(segments: Iterable[EmotionSegment]) -> list[tuple[Emotion, float]]:
    """Emotion and seconds of each segment."""
    return [(segment.emotion, segment.duration) for segment in segments]
