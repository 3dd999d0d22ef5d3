"""A generated corpus of emotion sequences with a long memory, and the lowest perplexity that a model can reach on it.

No film was read for it. A story is a chain of arcs with the neutral face between them; an arc is a row of emotions such
as surprise, fear, relief. Which arc comes next depends on the last two. So the last emotion alone says little: after a
neutral face anything may follow, and what follows was decided several emotions ago. Now and then an emotion is left out
or an arc broken off. Durations are log-normal about each emotion's own, strengths wander slowly; each story has its own
pace and strength, which can be inferred from its beginning.

The arcs are made up. They show whether a network can remember, not how people feel.
"""

from __future__ import annotations

import math

import numpy as np

from latentface.arrays import Float64Array
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence

_N, _H, _SA, _SU, _A, _D, _F = Emotion

#: the arcs: emotions, the arc that likes to follow when the one before was light, and when it was dark
ARCS: dict[str, tuple[tuple[Emotion, ...], str, str]] = {
    "joke": ((_SU, _H, _SU, _H), "fright", "reunion"),
    "fright": ((_SU, _F, _N, _F, _H), "joke", "discovery"),
    "threat": ((_F, _A, _F, _SA), "loss", "quarrel"),
    "quarrel": ((_A, _D, _A, _N, _A, _SA), "nuisance", "loss"),
    "loss": ((_SU, _SA, _N, _SA, _A, _SA), "quarrel", "reunion"),
    "reunion": ((_SA, _SU, _H, _N, _H), "joke", "nuisance"),
    "nuisance": ((_D, _A, _N, _D), "discovery", "threat"),
    "discovery": ((_SU, _D, _F, _SU), "threat", "joke"),
}
DARK = frozenset({"threat", "quarrel", "loss", "discovery"})
LIKED = 0.7  # chance of the arc that likes to follow
SKIP, BREAK = 0.06, 0.06  # chances that an emotion is left out, and that an arc ends early
SECONDS = {_N: 2.6, _H: 2.2, _SA: 3.4, _SU: 0.9, _A: 1.8, _D: 1.3, _F: 1.6}  # medians
SPREAD, PACE = 0.35, 0.3  # deviations of the log seconds: of a segment, and of a story's pace
STRENGTH, VIGOUR, KEEP, DRIFT = (
    0.85,
    0.4,
    0.9,
    0.2,
)  # median; deviation of a story's vigour; memory and step of the walk
LENGTHS = (24, 48)  # segments of a story

# What a story is at: a beat (before was dark, arc, place), or a rest after (before was dark, arc)
_NAMES = list(ARCS)
_STATES = [(dark, name, k) for dark in (False, True) for name in _NAMES for k in range(len(ARCS[name][0]) + 1)]
_PLACE = {state: index for index, state in enumerate(_STATES)}


def stories(count: int, seed: int) -> list[EmotionSequence]:
    """Sample stories; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    start, step = _tables()
    return [_story(rng, start, step) for _ in range(count)]


def best_perplexity(sequences: list[EmotionSequence]) -> float:
    """Perplexity per emotion of a predictor that knows the grammar: the forward algorithm of a hidden Markov model."""
    start, step = _tables()
    shown = np.array([_emotion(state).index for state in _STATES])
    nats, told = 0.0, 0
    for sequence in sequences:
        belief = start
        for segment in sequence.segments:
            belief = np.where(shown == segment.emotion.index, belief, 0.0)
            chance = belief.sum()
            nats, told = nats - math.log(chance), told + 1
            belief = (belief / chance) @ step
    return math.exp(nats / told)


def _tables() -> tuple[Float64Array, Float64Array]:
    """Chances [S] of a story's first state, and of each state after each [S, S]."""
    start, step = np.zeros(len(_STATES)), np.zeros((len(_STATES), len(_STATES)))
    for name in _NAMES:
        start[_PLACE[False, name, 0]] = 1 / len(_NAMES)
    for (dark, name, k), row in zip(_STATES, step, strict=True):
        emotions, light_next, dark_next = ARCS[name]
        rest = _PLACE[dark, name, len(emotions)]
        if k == len(emotions):
            for after in _NAMES:
                liked = LIKED if after == (dark_next if dark else light_next) else 0.0
                row[_PLACE[name in DARK, after, 0]] += liked + (1 - LIKED) / len(_NAMES)
            continue
        row[_PLACE[dark, name, k + 1]] += 1 - SKIP - BREAK
        row[_PLACE[dark, name, min(k + 2, len(emotions))]] += SKIP
        row[rest] += BREAK
        same = [_emotion(state) is emotions[k] for state in _STATES]  # an emotion never follows itself
        row[same] = 0.0
    return start, step / step.sum(1, keepdims=True)


def _emotion(state: tuple[bool, str, int]) -> Emotion:
    _, name, k = state
    emotions = ARCS[name][0]
    return emotions[k] if k < len(emotions) else Emotion.NEUTRAL


def _story(rng: np.random.Generator, start: Float64Array, step: Float64Array) -> EmotionSequence:
    pace, vigour, walk = PACE * rng.standard_normal(), VIGOUR * rng.standard_normal(), 0.0
    middle = math.log(STRENGTH / (2 - STRENGTH))
    segments, chances = [], start
    for _ in range(rng.integers(LENGTHS[0], LENGTHS[1] + 1)):
        place = rng.choice(len(_STATES), p=chances)
        emotion = _emotion(_STATES[place])
        walk = KEEP * walk + DRIFT * rng.standard_normal()
        seconds = SECONDS[emotion] * math.exp(pace + SPREAD * rng.standard_normal())
        strength = 1.0 if emotion is Emotion.NEUTRAL else 2 / (1 + math.exp(-(middle + vigour + walk)))
        segments.append(EmotionSegment(emotion, strength, seconds))
        chances = step[place]
    return EmotionSequence(tuple(segments))
