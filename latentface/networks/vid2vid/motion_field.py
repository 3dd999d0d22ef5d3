"""Motion field in space, with occlusion, from the states of two heads (Wang et al. 2021, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.geometry import Head, head_motions, volume_gaussians, warp_volume
from latentface.networks.vid2vid.volume import VolumeHourglass


@dataclass(frozen=True, eq=False)
class VolumeMotion:
    """The motion of the volume from the source to a driving frame.

    ``field`` [N, D, h, w, 3]: the source position of each cell; ``mask`` [N, K + 1, D, h, w]: the weight of each
    motion, the background's first; ``occlusion`` [N, 1, h, w] from 0 to 1: how much is visible in the source;
    ``surface`` [N, 1, D, h, w]: how much of what is seen at a place lies in each layer, None without blending.
    """

    field: Tensor
    mask: Tensor
    occlusion: Tensor
    surface: Tensor | None

    @property
    def seen(self) -> tuple[Tensor, Tensor]:
        """The motion of what is seen: its field in the plane [N, h, w, 2], and its mask [N, K + 1, h, w]."""
        weight = torch.full_like(self.mask[:, :1], 1 / self.mask.shape[2]) if self.surface is None else self.surface
        field = (weight[:, 0, ..., None] * self.field[..., :2]).sum(1)
        return field, (weight * self.mask).sum(2)


class MotionFieldNetwork(nn.Module):
    """Weights the motions of the keypoints, and the still background, in every cell of the volume."""

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        self.variance, self.align_corners = config.variance, config.blend
        motions, kernel = config.num_keypoints + 1, config.dense_kernel
        self.compress = nn.Conv3d(config.volume, config.compress, 1)
        self.norm = nn.BatchNorm3d(config.compress)
        inputs = motions * (config.compress + 1)
        self.hourglass = VolumeHourglass(
            inputs, config.dense_width, config.dense_blocks, config.dense_max, config.dense_mix
        )
        channels = self.hourglass.channels
        self.mask = nn.Conv3d(channels, motions, kernel, padding=kernel // 2)
        self.occlusion = nn.Conv2d(channels * config.depth, 1, kernel, padding=kernel // 2)
        self.surface = nn.Conv3d(channels, 1, 3, padding=1) if config.blend else None

    def forward(self, volume: Tensor, source: Head, driving: Head) -> VolumeMotion:
        """The motion that takes a source's volume [N, C, D, h, w] to each driving frame."""
        small = F.relu(self.norm(self.compress(volume)))
        depth, height, width = size = volume.shape[2:]
        motions = head_motions(source, driving, depth, height, width)  # [N, K + 1, D, h, w, 3]
        repeated = small[:, None].expand(-1, motions.shape[1], -1, -1, -1, -1).flatten(0, 1)
        moved = warp_volume(repeated.float(), motions.flatten(0, 1), self.align_corners)
        before, after = (
            volume_gaussians(head.value, depth, height, width, self.variance) for head in (source, driving)
        )
        heat = F.pad(after - before, (0,) * 6 + (1, 0))[:, :, None]  # [N, K + 1, 1, D, h, w]
        candidates = torch.cat([heat, moved.view(*motions.shape[:2], -1, *size)], dim=2).flatten(1, 2)
        features = self.hourglass(candidates)
        mask = self.mask(features).float().softmax(1)
        field = (mask[..., None] * motions).sum(1)
        occlusion = self.occlusion(features.flatten(1, 2)).float().sigmoid()
        surface = None if self.surface is None else self.surface(features).float().softmax(2)
        return VolumeMotion(field, mask, occlusion, surface)
