"""A four-layer LSTM that predicts the next emotion, its duration and its strength (after Zhang 2020).

Emotions are those of `latentface.emotion.Emotion`. The two measures of a segment are the logarithm of its seconds and
the logit of half its strength. Both are nearly normal, so the network predicts a mean and a standard deviation for each
possible emotion. A duration is thus log-normal: positive and skewed, like times between changes of expression, and
independent of the unit. Sampling the next step of an LSTM from a mixture follows Graves 2013; here the component of the
mixture is the emotion.

A first-order Markov chain is built in, and the LSTM learns a correction to its output, so that with few training
sequences the network is no worse than the chain.
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
BEGIN = EMOTIONS  # in place of an emotion: the beginning of the sequence
NOTHING = -1  # in place of an emotion: the sequence has ended
MEASURES = 2  # log seconds, logit of half the strength
_LOG_DEVIATIONS = (
    -1.6,
    2.0,
)  # bounds of the logarithm of a standard deviation, so that a few equal segments cannot reduce it to 0

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class RhythmConfig:
    """hidden: width of each of the `layers`. embedding: size of an emotion's embedding. dropout: between layers."""

    hidden: int = 64
    layers: int = 4
    embedding: int = 16
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.hidden, self.layers, self.embedding) < 1 or not 0 <= self.dropout < 1:
            raise UsageError(f"hidden, layers and embedding must be at least 1 and dropout below 1, got {self}")


class Outlook(NamedTuple):
    """A prediction: logits [N, T, 7]; mean and log_deviation of the measures of each, [N, T, 7, 2]; the state."""

    logits: Tensor
    mean: Tensor
    log_deviation: Tensor
    state: State


class RhythmNet(nn.Module):
    """Emotions [N, T] (0-6, or `BEGIN`) and their measures [N, T, 2] -> an `Outlook` after each of them."""

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
        self.head = nn.Linear(
            config.hidden + width, EMOTIONS * (1 + 2 * MEASURES)
        )  # shortcut from the last emotion itself
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("location", torch.zeros(MEASURES))  # mean of the measures, over the training sequences
        self.register_buffer("scale", torch.ones(MEASURES))  # and their deviation
        self.register_buffer("transition", torch.zeros(EMOTIONS + 1, EMOTIONS))  # the chain's logits after each emotion
        self.register_buffer(
            "usual", torch.zeros(EMOTIONS, 2 * MEASURES)
        )  # its means and log deviations of the measures

    def lean_on(self, log_transition: Tensor, mean: Tensor, deviation: Tensor) -> None:
        """Build a chain in: log probabilities [8, 7] after each emotion and `BEGIN`; moments [7, 2] of each one."""
        self.transition.copy_(log_transition.clamp(min=-100.0))
        usual = [(mean - self.location) / self.scale, (deviation / self.scale).log()]
        self.usual.copy_(torch.cat(usual, dim=1))

    def forward(self, emotions: Tensor, measures: Tensor, state: State | None = None) -> Outlook:
        """The outlook after each of the emotions; `state` is the state from an earlier call for the same sequences."""
        begins = (emotions == BEGIN)[..., None]
        seen = ((measures - self.location) / self.scale).masked_fill(begins, 0.0)
        inputs = torch.cat([self.embedding(emotions), seen], dim=-1)
        hidden, state = self.lstm(inputs, state)
        answer = self.head(torch.cat([hidden, inputs], dim=-1))
        logits = answer[..., :EMOTIONS] + self.transition[emotions]
        rest = answer[..., EMOTIONS:].unflatten(-1, (EMOTIONS, 2 * MEASURES)) + self.usual
        mean, log_deviation = rest.chunk(2, dim=-1)
        same = F.one_hot(emotions, EMOTIONS + 1)[
            ..., :EMOTIONS
        ].bool()  # the next emotion always differs, otherwise it would be the same segment
        return Outlook(
            logits.masked_fill(same, -math.inf),
            mean * self.scale + self.location,
            log_deviation.clamp(*_LOG_DEVIATIONS) + self.scale.log(),
            state,
        )

    def surprise(self, emotions: Tensor, measures: Tensor) -> Tensor:
        """Negative log-likelihoods in nats of each segment's emotion, log seconds and strength: [N, T - 1, 3].

        Each segment from the second on is predicted from those before it. For `NOTHING`, and for the strength of the
        neutral face, which has no meaning, they are 0.
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
    """Which of the three numbers of `RhythmNet.surprise` count for emotions [N, T]: bool [N, T, 3]."""
    there = emotions != NOTHING
    return torch.stack([there, there, there & (emotions != Emotion.NEUTRAL.index)], dim=-1)
