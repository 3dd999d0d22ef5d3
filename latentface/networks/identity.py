"""Identity embedding: a face crop -> a unit vector that stays with the person."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from latentface.networks.trunk import FaceTrunk, TrunkConfig


class IdentityNet(nn.Module):
    """FFHQ crops [N, 3, R, R] in [-1, 1], of any size -> unit vectors [N, D].

    The cosine of two vectors is their scalar product: near 1 for pictures of one person, about 0 for two people.
    """

    def __init__(self, config: TrunkConfig | None = None) -> None:
        super().__init__()
        self.config = config or TrunkConfig()
        self.trunk = FaceTrunk(self.config)

    def forward(self, crops: Tensor) -> Tensor:
        return self.embed(self.trunk.look(crops))

    def embed(self, framed: Tensor) -> Tensor:
        """Unit vectors [N, D] of pictures [N, 3, S, S] that are framed already (`FaceTrunk.look`)."""
        return F.normalize(self.trunk(framed).float(), dim=1)
