"""Prediction of emotions: segments as numbers, sampling from a rhythm network, a Markov chain as the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.errors import UsageError
from latentface.networks.rhythm import BEGIN, EMOTIONS, NOTHING, RhythmNet, counted

SHORTEST, LONGEST = 0.2, 120.0  # shortest and longest sampled segment in seconds
_EDGE = 0.01  # of the strength's range, beyond which its logit would be unbounded
_PRIOR = 5.0  # weight, in segments, of the statistics of all emotions in those of each one
_MOST_SECONDS = 24 * 3600.0


def joined(sequence: EmotionSequence) -> EmotionSequence:
    """Merge neighbouring segments of the same emotion; the strength is their mean over time."""
    whole: list[EmotionSegment] = []
    for segment in sequence.segments:
        if whole and whole[-1].emotion is segment.emotion:
            last = whole.pop()
            seconds = last.duration + segment.duration
            strength = (last.strength * last.duration + segment.strength * segment.duration) / seconds
            segment = EmotionSegment(segment.emotion, strength, seconds)
        whole.append(segment)
    return EmotionSequence(tuple(whole))


def to_numbers(sequence: EmotionSequence) -> tuple[Tensor, Tensor]:
    """Input of a rhythm network: emotions [T + 1], the first one `BEGIN`, and measures [T + 1, 2]."""
    segments = joined(sequence).segments
    emotions = [BEGIN, *(segment.emotion.index for segment in segments)]
    measures = [(0.0, 0.0), *(_measure(segment) for segment in segments)]
    return torch.tensor(emotions), torch.tensor(measures)


def stacked(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Batch several results of `to_numbers`: emotions [N, T], padded with `NOTHING`, and measures [N, T, 2]."""
    emotions = torch.nn.utils.rnn.pad_sequence([part[0] for part in parts], True, float(NOTHING))
    return emotions, torch.nn.utils.rnn.pad_sequence([part[1] for part in parts], True)


def predict(
    network: RhythmNet, start: Emotion, seconds: float, *, seed: int = 0, temperature: float = 1.0
) -> EmotionSequence:
    """Sample a sequence that begins with `start` and lasts `seconds`.

    Args:
        network: the rhythm network.
        start: the first emotion.
        seconds: the length of the sequence, more than 0 and at most a day.
        seed: the seed; the same seed gives the same sequence.
        temperature: 1 samples from the learnt distribution; lower values favour what is likely, 0 always takes the
            likeliest emotion and the median duration and strength, and higher values give more variety.

    Raises:
        UsageError: seconds, seed or temperature (0 to 10) are out of range.
    """
    if not 0 < seconds <= _MOST_SECONDS:
        raise UsageError(f"seconds is {seconds}; expected more than 0 and at most {_MOST_SECONDS:g}")
    if not 0 <= temperature <= 10:
        raise UsageError(f"temperature is {temperature}; expected 0 to 10")
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed is {seed}; expected 0 or more, below 2^63")
    source = torch.Generator().manual_seed(seed)
    device = network.location.device
    emotions, measures = torch.tensor([[BEGIN]], device=device), torch.zeros(1, 1, 2, device=device)
    segments: list[EmotionSegment] = []
    left, state = seconds, None
    while left > 1e-6:
        with torch.inference_mode():
            logits, mean, log_deviation, state = network(emotions, measures, state)
        index = _sample(logits[0, 0].cpu(), temperature, source) if segments else start.index
        spread = math.sqrt(temperature) * torch.randn(2, generator=source)  # p^(1/T) of a normal widens by sqrt(T)
        drawn = mean[0, 0, index].cpu() + spread * log_deviation[0, 0, index].cpu().exp()
        segment = _segment(list(Emotion)[index], *drawn.tolist())
        if left - segment.duration < SHORTEST:  # the last segment fills the remaining time
            segment = EmotionSegment(segment.emotion, segment.strength, round(left, 6))
        segments.append(segment)
        left -= segment.duration
        emotions = torch.tensor([[index]], device=device)
        measures = torch.tensor([[_measure(segment)]], device=device)
    return EmotionSequence(tuple(segments))


class MarkovChain:
    """First-order chain: the next emotion depends only on the last one, its duration and strength only on itself.

    It is fitted to the output of `to_numbers`. Counts start from 1/2 (Jeffreys' prior), and the moments of each emotion
    from those of all emotions with a weight of five segments.

    Attributes:
        log_transition: [8, 7] log probabilities after each emotion, and at the beginning.
        mean, deviation: [7, 2], mean and standard deviation of the measures of each emotion.
    """

    def __init__(self, sequences: Iterable[tuple[Tensor, Tensor]]) -> None:
        parts = list(sequences)
        counts = torch.full((EMOTIONS + 1, EMOTIONS), 0.5)
        counts[range(EMOTIONS), range(EMOTIONS)] = 0
        for emotions, _ in parts:
            pairs = emotions[:-1], emotions[1:]
            counts.index_put_(pairs, torch.ones(len(emotions) - 1), accumulate=True)
        self.log_transition = (counts / counts.sum(1, keepdim=True)).log()
        emotions, measures = torch.cat([part[0][1:] for part in parts]), torch.cat([part[1][1:] for part in parts])
        known = F.one_hot(emotions, EMOTIONS).float()[:, :, None] * counted(emotions)[:, None, 1:]  # [T, 7, 2]
        total = known.sum((0, 1)).clamp(min=1)
        middle = (known * measures[:, None]).sum((0, 1)) / total
        spread = (known * (measures[:, None] - middle).square()).sum((0, 1)) / total
        own = known.sum(0) + _PRIOR
        self.mean = ((known * measures[:, None]).sum(0) + _PRIOR * middle) / own
        around = (known * (measures[:, None] - self.mean).square()).sum(0) + _PRIOR * spread
        self.deviation = (around / own).sqrt().clamp(min=0.05)

    def surprise(self, emotions: Tensor, measures: Tensor) -> Tensor:
        """Like `RhythmNet.surprise`: [N, T - 1, 3] nats."""
        given, told = emotions[:, :-1].clamp(min=0), emotions[:, 1:]
        index = told.clamp(min=0)
        emotion = -self.log_transition[given, index]
        deviation = self.deviation[index]
        off = (measures[:, 1:] - self.mean[index]) / deviation
        normal = off.square() / 2 + deviation.log() + math.log(2 * math.pi) / 2
        return torch.cat([emotion[..., None], normal], dim=-1).masked_fill(~counted(told), 0.0)


def figures(surprise: Tensor, emotions: Tensor) -> dict[str, float]:
    """Mean figures of `surprise` [N, T - 1, 3] over `emotions` [N, T].

    They are the perplexity of an emotion, the nats of a duration and of a strength, and the nats of a whole segment.
    """
    total, count = surprise.double().sum((0, 1)), counted(emotions[:, 1:]).sum((0, 1))
    emotion, duration, strength = (total / count.clamp(min=1)).tolist()
    nats = float(total.sum() / count[0])
    return {"perplexity": math.exp(emotion), "duration": duration, "strength": strength, "nats": nats}


def _measure(segment: EmotionSegment) -> tuple[float, float]:
    if segment.emotion is Emotion.NEUTRAL:
        return math.log(segment.duration), 0.0
    share = min(max(segment.strength / 2, _EDGE), 1 - _EDGE)
    return math.log(segment.duration), math.log(share / (1 - share))


def _segment(emotion: Emotion, log_seconds: float, logit: float) -> EmotionSegment:
    seconds = math.exp(min(max(log_seconds, math.log(SHORTEST)), math.log(LONGEST)))
    strength = 1.0 if emotion is Emotion.NEUTRAL else 2 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))
    return EmotionSegment(emotion, round(strength, 3), round(seconds, 3))


def _sample(logits: Tensor, temperature: float, source: torch.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(0), 1, generator=source))
