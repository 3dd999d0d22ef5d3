"""Occlusion-aware generator (Siarohin et al. 2019, section 3.2): warps, masks and completes features of the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentface.networks.motion.blocks import Down, Residual, Same, Up
from latentface.networks.motion.config import MotionConfig
from latentface.networks.motion.dense import DenseMotion, DenseMotionNetwork
from latentface.networks.motion.geometry import Keypoints, resize, resize_field, warp


@dataclass(frozen=True, eq=False)
class Encoded:
    """The data of a source [N, 3, H, W] in [0, 1] used in every frame: the source, its features, and a reduced copy."""

    picture: Tensor
    features: Tensor
    small: Tensor

    def expand(self, count: int) -> Encoded:
        """The same source for each of `count` frames."""
        return Encoded(*(part.expand(count, -1, -1, -1) for part in (self.picture, self.features, self.small)))


@dataclass(frozen=True, eq=False)
class Prediction:
    """The parts from which a frame is composed.

    ``painted`` [N, 3, H, W] in [0, 1]: the output of the generator; ``share`` [N, 1, H, W] from 0 to 1: where the
    warped source is shown instead (None: nowhere); and the motion.
    """

    painted: Tensor
    share: Tensor | None
    motion: DenseMotion


class OcclusionAwareGenerator(nn.Module):
    """`encode` a source once, then `forward` for each driving frame."""

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.align_corners, self.blend = config.align_corners, config.blend
        widths = [min(config.generator_max, config.generator_width * 2**i) for i in range(config.generator_blocks + 1)]
        self.dense_motion_network = DenseMotionNetwork(config)
        self.first = Same(3, config.generator_width)
        self.down_blocks = nn.ModuleList(map(Down, widths, widths[1:]))
        self.up_blocks = nn.ModuleList(map(Up, widths[:0:-1], widths[-2::-1]))
        self.bottleneck = nn.Sequential()
        for i in range(config.bottleneck_blocks):
            self.bottleneck.add_module(f"r{i}", Residual(widths[-1]))
        self.final = nn.Conv2d(config.generator_width, 4 if config.blend else 3, 7, padding=3)

    def encode(self, picture: Tensor) -> Encoded:
        """The computation that is the same for all frames of a source [N, 3, H, W] in [0, 1]."""
        features = self.first(picture)
        for block in self.down_blocks:
            features = block(features)
        return Encoded(picture, features, self.dense_motion_network.down(picture))

    def forward(self, source: Encoded, at: Keypoints, to: Keypoints) -> Prediction:
        """The source with its keypoints moved from `at` to `to`."""
        motion: DenseMotion = self.dense_motion_network(source.small, at, to)
        height, width = source.features.shape[2:]
        out = warp(source.features, resize_field(motion.field, height, width, self.blend), self.align_corners)
        out = out.contiguous(memory_format=torch.channels_last) * resize(motion.occlusion, height, width).to(out.dtype)
        out = self.bottleneck(out)
        for block in self.up_blocks:
            out = block(out)
        out = torch.sigmoid(self.final(out).float())
        return Prediction(out[:, :3], out[:, 3:] if self.blend else None, motion)

    def deform(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The warped source [N, C, H, W] alone."""
        return deform(source, drawn, self.blend, self.align_corners)

    def compose(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The finished frame at the size of a source [N, C, H, W] in [0, 1]; see `compose`."""
        return compose(source, drawn, self.deform)


def deform(source: Tensor, drawn: Prediction, resize_corners: bool, align_corners: bool) -> Tensor:
    """The source [N, C, H, W] warped by the field of a prediction, which is resized to its size."""
    height, width = source.shape[2:]
    return warp(source, resize_field(drawn.motion.field, height, width, resize_corners), align_corners)


def compose(source: Tensor, drawn: Prediction, warped: Callable[[Tensor, Prediction], Tensor]) -> Tensor:
    """The finished frame at the size of a source [N, C, H, W] in [0, 1], by a function that warps it.

    If the network blends, a source larger than the encoded one contributes its detail; channels after the third (alpha)
    are warped.
    """
    height, width = source.shape[2:]
    if drawn.share is None and source.shape[1] == 3:
        return resize(drawn.painted, height, width)
    deformed = warped(source, drawn)
    parts = drawn.painted if drawn.share is None else torch.cat([drawn.painted, drawn.share], dim=1)
    large = resize(parts, height, width)  # together, which takes less time than one after the other
    painted = torch.cat([large[:, :3], deformed[:, 3:]], dim=1) if source.shape[1] > 3 else large[:, :3]
    return painted if drawn.share is None else torch.lerp(painted, deformed, large[:, 3:])
