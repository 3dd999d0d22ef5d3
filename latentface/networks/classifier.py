"""Emotion classifier: a face crop -> one of the seven emotions of `latentface.emotion.Emotion`.

An emotion changes the position and the appearance of brows, lids and lips. The classifier is therefore a landmark
network followed by a few layers that use its points and the features at each point.
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
from latentface.networks.trunk import framed_part

INNER = slice(17, 68)  # without the jaw line, which moves with the view


@dataclass(frozen=True)
class EmotionConfig:
    """landmarks: shape of the landmark network inside. features: length of the feature vector before the logits."""

    landmarks: LandmarkConfig = field(default_factory=LandmarkConfig)
    features: int = 128

    def __post_init__(self) -> None:
        if isinstance(self.landmarks, Mapping):  # a mapping if it comes from a file
            object.__setattr__(self, "landmarks", LandmarkConfig(**self.landmarks))
        if self.features < 1:
            raise UsageError(f"features must be at least 1, got {self.features}")


class EmotionNet(nn.Module):
    """FFHQ crops [N, 3, R, R] in [-1, 1], of any size -> logits [N, 7] in the order of `Emotion`.

    A crop and its mirror image have the same logits.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: EmotionConfig | None = None) -> None:
        super().__init__()
        self.config = config or EmotionConfig()
        self.landmarks = LandmarkNet(self.config.landmarks)
        width = (2 + self.config.landmarks.decoder) * len(range(NUM_POINTS)[INNER])
        self.hidden = nn.Linear(width, 2 * self.config.features)
        self.last = nn.Linear(2 * self.config.features, self.config.features)
        self.head = nn.Linear(self.config.features, len(Emotion))
        self.register_buffer(
            "mean", torch.zeros(width)
        )  # mean and scale of the observations over the training pictures
        self.register_buffer("scale", torch.ones(width))

    def embed(self, observed: Tensor) -> Tensor:
        """The features [N, D] of observations [N, W] from `observe`."""
        return F.relu(self.last(F.relu(self.hidden((observed - self.mean) * self.scale))))

    def features(self, crops: Tensor) -> Tensor:
        """The features [N, D] before the logits for crops [N, 3, R, R]; UsageError for another shape."""
        framed = framed_part(crops, self.config.landmarks)
        observed = observe(self.landmarks, torch.cat([framed, framed.flip(3)]))
        ours, mirrored = self.embed(observed).chunk(2)
        return (ours + mirrored) / 2  # the logits are linear in the features, so they are averaged, too

    def forward(self, crops: Tensor) -> Tensor:
        """Logits [N, 7] of crops [N, 3, R, R]; UsageError for another shape."""
        logits: Tensor = self.head(self.features(crops))
        return logits


def observe(landmarks: LandmarkNet, framed: Tensor) -> Tensor:
    """Observations [N, W] of a landmark network in pictures [N, 3, S, S] of its frame.

    They are the inner points, see `eye_frame`, and at each point the features from which its heat map is computed.
    """
    maps = landmarks.decode(*landmarks.encode(framed))
    points = landmarks.locate(landmarks.head(maps))
    places = points[:, INNER, None] * 2 - 1
    there = F.grid_sample(maps.float(), places, padding_mode="border", align_corners=False)  # [N, D, 51, 1]
    return torch.cat([eye_frame(points)[:, INNER].flatten(1), there.flatten(1)], dim=1)
