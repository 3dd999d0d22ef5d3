"""Rhythm of emotions: a four-layer LSTM that tells what comes next, for how long and how strongly (after Zhang 2020).

Emotions are those of `latentface.emotion.Emotion`. A segment's two measures are its logarithm of seconds and its logit
of half the strength: in these, both are near normal, so that the network answers with a mean and a deviation for each
emotion that may come. A duration so is log-normal: positive, skewed as times between changes of expression are, and
free of a unit, where a grid of durations would have to choose its steps. Sampling an LSTM's next step from a mixture
is Graves 2013; here the mixture's part is the emotion, which has a name.

A first-order Markov chain is built in, and the LSTM learns what to add to its answers: with few sequences to learn from
the network is no worse than the chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.emotion import Emotion
from latentface.errors import UsageError

EMOTIONS = len(Emotion)
BEGIN = EMOTIONS  # in the place of an emotion: nothing has been yet
NOTHING = -1  # in the place of an emotion: the sequence is over
MEASURES = 2  # log seconds, logit of half the strength
_LOG_DEVIATIONS = (-1.6, 2.0)  # bounds of a deviation's logarithm: few segments that agree must not pull it to nothing

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class RhythmConfig:
    """hidden: width of each of the `layers`. embedding: numbers that stand for an emotion. dropout: between layers."""

    hidden: int = 64
    layers: int = 4
    embedding: int = 16
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.hidden, self.layers, self.embedding) < 1 or not 0 <= self.dropout < 1:
            raise UsageError(f"hidden, layers and embedding must be at least 1 and dropout below 1, got {self}")


class Outlook(NamedTuple):
    """What may come next: logits [N, T, 7]; mean and log_deviation of the measures of each, [N, T, 7, 2]; the state."""

    logits: Tensor
    mean: Tensor
    log_deviation: Tensor
    state: State


class RhythmNet(nn.Module):
    """Emotions [N, T] (0-6, or `BEGIN`) and their measures [N, T, 2] -> an `Outlook` on the next after each of them."""

    location: Tensor
    scale: Tensor
    transition: Tensor
    usual: Tensor

    def __init__(self, config: RhythmConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RhythmConfig()
        self.embedding = nn.Embedding(EMOTIONS + 1, config.embedding)
        dropout = config.dropout if config.layers > 1 else 0.0
        width = config.embedding + MEASURES
        self.lstm = nn.LSTM(width, config.hidden, config.layers, batch_first=True, dropout=dropout)
        self.head = nn.Linear(config.hidden + width, EMOTIONS * (1 + 2 * MEASURES))  # short cut: the last one itself
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("location", torch.zeros(MEASURES))  # mean of the measures, over the training sequences
        self.register_buffer("scale", torch.ones(MEASURES))  # and their deviation
        self.register_buffer("transition", torch.zeros(EMOTIONS + 1, EMOTIONS))  # the chain's logits after each emotion
        self.register_buffer(
            "usual", torch.zeros(EMOTIONS, 2 * MEASURES)
        )  # its means and log deviations of the measures

    def lean_on(self, log_transition: Tensor, mean: Tensor, deviation: Tensor) -> None:
        """Build a chain in: log chances [8, 7] after each emotion and `BEGIN`; moments [7, 2] of each one."""
        self.transition.copy_(log_transition.clamp(min=-100.0))
        usual = [(mean - self.location) / self.scale, (deviation / self.scale).log()]
        self.usual.copy_(torch.cat(usual, dim=1))

    def forward(self, emotions: Tensor, measures: Tensor, state: State | None = None) -> Outlook:
        """The outlook after each of the emotions; `state` is what an earlier call for the same sequences returned."""
        begins = (emotions == BEGIN)[..., None]
        seen = ((measures - self.location) / self.scale).masked_fill(begins, 0.0)
        inputs = torch.cat([self.embedding(emotions), seen], dim=-1)
        hidden, state = self.lstm(inputs, state)
        answer = self.head(torch.cat([hidden, inputs], dim=-1))
        logits = answer[..., :EMOTIONS] + self.transition[emotions]
        rest = answer[..., EMOTIONS:].unflatten(-1, (EMOTIONS, 2 * MEASURES)) + self.usual
        mean, log_deviation = rest.chunk(2, dim=-1)
        same = F.one_hot(emotions, EMOTIONS + 1)[..., :EMOTIONS].bool()  # what follows is another: else it would be one
        return Outlook(
            logits.masked_fill(same, -math.inf),
            mean * self.scale + self.location,
            log_deviation.clamp(*_LOG_DEVIATIONS) + self.scale.log(),
            state,
        )

    def surprise(self, emotions: Tensor, measures: Tensor) -> Tensor:
        """Negative log-likelihoods in nats of each segment's emotion, log seconds and strength: [N, T - 1, 3].

        Each segment from the second on is told from those before it. Where there is `NOTHING`, and for the strength
        of the neutral face, which has no meaning, they are 0.
        """
        given, told = emotions[:, :-1].clamp(min=0), emotions[:, 1:]
        outlook = self(given, measures[:, :-1])
        index = told.clamp(min=0)[..., None]
        emotion = -outlook.logits.log_softmax(-1).gather(-1, index)
        chosen = index[..., None].expand(*index.shape, MEASURES)
        mean, log_deviation = (part.gather(-2, chosen)[..., 0, :] for part in outlook[1:3])
        off = (measures[:, 1:] - mean) * (-log_deviation).exp()
        normal = off.square() / 2 + log_deviation + math.log(2 * math.pi) / 2
        return torch.cat([emotion, normal], dim=-1).masked_fill(~counted(told), 0.0)


def counted(emotions: Tensor) -> Tensor:
    """Which of `RhythmNet.surprise`'s three numbers count for emotions [N, T]: bool [N, T, 3]."""
    there = emotions != NOTHING
    return torch.stack([there, there, there & (emotions != Emotion.NEUTRAL.index)], dim=-1)
