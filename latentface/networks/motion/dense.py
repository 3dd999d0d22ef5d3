"""Dense motion from keypoints (Siarohin et al. 2019, section 3.1, eq. 4 to 7)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentface.networks.motion.blocks import Hourglass, anti_alias
from latentface.networks.motion.config import MotionConfig
from latentface.networks.motion.geometry import Keypoints, gaussians, sparse_motions, warp


@dataclass(frozen=True, eq=False)
class DenseMotion:
    """The motion from the source to a driving frame.

    ``field`` [N, h, w, 2]: the source position of each place; ``occlusion`` [N, 1, h, w] from 0 to 1: how much of it is
    visible in the source; ``mask`` [N, K + 1, h, w]: the weight of each motion; ``candidates`` [N, K + 1, 3, h, w]: the
    source moved by each motion alone.
    """

    field: Tensor
    occlusion: Tensor
    mask: Tensor
    candidates: Tensor


class DenseMotionNetwork(nn.Module):
    """Weights the affine motions of the keypoints, and the still background, at every place."""

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.variance, self.align_corners = config.variance, config.align_corners
        motions = config.num_keypoints + 1
        self.down = anti_alias(3, config.scale)
        self.hourglass = Hourglass(4 * motions, config.dense_width, config.dense_blocks, config.dense_max)
        self.mask = nn.Conv2d(self.hourglass.channels, motions, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.channels, 1, 7, padding=3)
        self.both: nn.Conv2d | None = None  # the two as one convolution, see `inference.fold`

    def forward(self, small: Tensor, source: Keypoints, driving: Keypoints) -> DenseMotion:
        """The motion that takes a source to each driving frame; `small` is the source through `down`, [N, 3, h, w]."""
        height, width = small.shape[2:]
        motions = sparse_motions(source, driving, height, width)  # [N, K + 1, h, w, 2]
        repeated = small.float()[:, None].expand(-1, motions.shape[1], -1, -1, -1).flatten(0, 1)
        moved = warp(repeated, motions.flatten(0, 1), self.align_corners)
        candidates = moved.view(*motions.shape[:2], 3, height, width)
        before, after = (gaussians(points.value, height, width, self.variance) for points in (source, driving))
        heat = after - before
        heat = torch.cat([torch.zeros_like(heat[:, :1]), heat], dim=1)[:, :, None]  # [N, K + 1, 1, h, w]
        features = self.hourglass(torch.cat([heat, candidates], dim=2).flatten(1, 2))
        if self.both is None:
            logits, seen = self.mask(features), self.occlusion(features)
        else:
            logits, seen = self.both(features).split([motions.shape[1], 1], 1)
        mask = logits.float().softmax(1)
        field = (mask[..., None] * motions).sum(1)
        return DenseMotion(field, seen.float().sigmoid(), mask, candidates)
