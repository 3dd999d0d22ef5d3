"""Emotion classifier: a face crop -> one of the seven emotions of `latentface.emotion.Emotion`.

What an emotion does to a face is where it moves brows, lids and lips. So the classifier is a landmark network and a few
layers that read its points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.emotion import Emotion
from latentface.errors import UsageError
from latentface.networks.landmarks import NUM_POINTS, LandmarkConfig, LandmarkNet, eye_frame
from latentface.networks.trunk import look

INNER = slice(17, 68)  # without the jaw line, which moves with the view


@dataclass(frozen=True)
class EmotionConfig:
    """landmarks: shape of the landmark network inside. features: length of the vector the decision is made from."""

    landmarks: LandmarkConfig = field(default_factory=LandmarkConfig)
    features: int = 128

    def __post_init__(self) -> None:
        if isinstance(self.landmarks, Mapping):  # a mapping when it comes from a file
            object.__setattr__(self, "landmarks", LandmarkConfig(**self.landmarks))
        if self.features < 1:
            raise UsageError(f"features must be at least 1, got {self.features}")


class EmotionNet(nn.Module):
    """FFHQ crops [N, 3, R, R] in [-1, 1], of any size -> logits [N, 7] in the order of `Emotion`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: EmotionConfig | None = None) -> None:
        super().__init__()
        self.config = config or EmotionConfig()
        self.landmarks = LandmarkNet(self.config.landmarks)
        width = 2 * len(range(NUM_POINTS)[INNER])
        self.hidden = nn.Linear(width, 2 * self.config.features)
        self.last = nn.Linear(2 * self.config.features, self.config.features)
        self.head = nn.Linear(self.config.features, len(Emotion))
        self.register_buffer("mean", torch.zeros(width))  # of the points, over the training pictures
        self.register_buffer("scale", torch.ones(width))

    def reflect(self, points: Tensor) -> Tensor:
        """Features [N, D] of `inner_points` [N, 102]."""
        return F.relu(self.last(F.relu(self.hidden((points - self.mean) * self.scale))))

    def features(self, crops: Tensor) -> Tensor:
        """What the decision is made from: [N, D] for crops [N, 3, R, R]; UsageError for another shape."""
        return self.reflect(inner_points(self.landmarks, look(crops, self.config.landmarks)))

    def forward(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(crops))
        return logits


def inner_points(landmarks: LandmarkNet, framed: Tensor) -> Tensor:
    """The inner points in pictures [N, 3, S, S] of the landmark network's frame: [N, 102], see `eye_frame`."""
    return eye_frame(landmarks(framed))[:, INNER].flatten(1)
