"""Keypoint detector with Jacobians, learnt without labels (Siarohin et al. 2019, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentface.networks.motion.blocks import Down, Hourglass, anti_alias
from latentface.networks.motion.config import MotionConfig
from latentface.networks.motion.geometry import Keypoints, grid


class KeypointDetector(nn.Module):
    """Pictures [N, 3, H, W] in [0, 1] -> `Keypoints`.

    A keypoint is the expected position under the softmax of its map; its Jacobian is the mean, with the same weights,
    of a map of 2 x 2 matrices, which starts as the identity everywhere.
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.down = anti_alias(3, config.keypoints_at)
        self.stem = Down(3, config.keypoint_stem) if config.keypoint_stem else nn.Identity()
        inputs = config.keypoint_stem or 3
        self.predictor = Hourglass(inputs, config.keypoint_width, config.keypoint_blocks, config.keypoint_max)
        inputs, padding = self.predictor.channels, config.keypoint_padding
        self.kp = nn.Conv2d(inputs, config.num_keypoints, 7, padding=padding)
        self.jacobian = nn.Conv2d(inputs, 4 * config.num_keypoints, 7, padding=padding)
        nn.init.zeros_(self.jacobian.weight)
        assert self.jacobian.bias is not None
        with torch.no_grad():
            self.jacobian.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0]).repeat(config.num_keypoints))

    def forward(self, pictures: Tensor) -> Keypoints:
        """The keypoints of pictures [N, 3, H, W] in [0, 1], positions and Jacobians in float32."""
        features = self.predictor(self.stem(self.down(pictures)))
        logits = self.kp(features).float()  # [N, K, h, w], both smaller by 6 without padding
        count, keypoints, height, width = logits.shape
        weights = (logits / self.temperature).flatten(2).softmax(2).view_as(logits)
        z = grid(height, width, logits)
        x, y = (weights.sum(2) * z[0, :, 0]).sum(2), (weights.sum(3) * z[:, 0, 1]).sum(2)
        matrices = self.jacobian(features).float().view(count, keypoints, 4, height, width)
        mean = (weights[:, :, None] * matrices).sum((3, 4))
        return Keypoints(torch.stack([x, y], dim=2), mean.view(count, keypoints, 2, 2))
