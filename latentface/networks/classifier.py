"""Emotion classifier: a face crop -> one of the seven emotions of `latentface.emotion.Emotion`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from latentface.emotion import Emotion
from latentface.networks.trunk import FaceTrunk, TrunkConfig


class EmotionNet(nn.Module):
    """FFHQ crops [N, 3, R, R] in [-1, 1], of any size -> logits [N, 7] in the order of `Emotion`."""

    def __init__(self, config: TrunkConfig | None = None) -> None:
        super().__init__()
        self.config = config or TrunkConfig()
        self.trunk = FaceTrunk(self.config)
        self.head = nn.Linear(self.config.features, len(Emotion))

    def features(self, crops: Tensor) -> Tensor:
        """What the decision is made from: [N, D] for crops [N, 3, R, R]; UsageError for another shape."""
        return F.relu(self.trunk(self.trunk.look(crops)))

    def forward(self, crops: Tensor) -> Tensor:
        return self.classify(self.trunk.look(crops))

    def classify(self, framed: Tensor) -> Tensor:
        """Logits [N, 7] of pictures [N, 3, S, S] that are framed already (`FaceTrunk.look`)."""
        logits: Tensor = self.head(F.relu(self.trunk(framed)))
        return logits
