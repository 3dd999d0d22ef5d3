"""Identity embedding: from a face crop to a unit vector that identifies the person.

It combines features that a trunk has learnt to be invariant to light, pose and expression (skin, brows, hair) with the
geometry from a landmark network, and maps both linearly to the directions in which people differ most and pictures of
one person least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError
from latentface.networks.landmarks import NUM_POINTS, LandmarkConfig, LandmarkNet, eye_frame
from latentface.networks.trunk import FaceTrunk, TrunkConfig, framed_part


@dataclass(frozen=True)
class IdentityConfig:
    """Shapes of the two networks inside, and the length of the vectors."""

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    landmarks: LandmarkConfig = field(default_factory=LandmarkConfig)
    features: int = 128

    def __post_init__(self) -> None:
        if isinstance(self.trunk, Mapping):  # mappings if they come from a file
            object.__setattr__(self, "trunk", TrunkConfig(**self.trunk))
        if isinstance(self.landmarks, Mapping):
            object.__setattr__(self, "landmarks", LandmarkConfig(**self.landmarks))
        if self.features < 1:
            raise UsageError(f"features must be at least 1, got {self.features}")


class IdentityNet(nn.Module):
    """FFHQ crops [N, 3, R, R] in [-1, 1], of any size -> unit vectors [N, D].

    The cosine of two vectors is their scalar product: near 1 for pictures of one person, about 0 for two people.
    """

    def __init__(self, config: IdentityConfig | None = None) -> None:
        super().__init__()
        self.config = config or IdentityConfig()
        self.trunk = FaceTrunk(self.config.trunk)
        self.landmarks = LandmarkNet(self.config.landmarks)
        self.out = nn.Linear(self.config.trunk.features + 4 * NUM_POINTS, self.config.features)

    def describe(self, crops: Tensor) -> Tensor:
        """The compared quantities [N, W]: the trunk's features, the points in the frame of the eyes, and their squares.

        Squares are used because a head turn moves a point in proportion to its depth, which differs between people.
        """
        points = eye_frame(self.landmarks(framed_part(crops, self.config.landmarks))).flatten(1)
        return torch.cat([self.trunk(self.trunk.frame(crops)).float(), points, points.square()], dim=1)

    def forward(self, crops: Tensor) -> Tensor:
        """Unit vectors [N, D] of crops [N, 3, R, R]; UsageError for another shape."""
        return F.normalize(self.out(self.describe(crops)), dim=1)
