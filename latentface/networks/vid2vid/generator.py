"""Generator of a free-view talking head: a volume of the source's features, moved, flattened and decoded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latentface.networks.motion.blocks import ConvNorm, Down, Residual, Up
from latentface.networks.motion.dense import DenseMotion
from latentface.networks.motion.generator import Prediction, compose, deform
from latentface.networks.motion.geometry import resize
from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.geometry import Head, warp_volume
from latentface.networks.vid2vid.motion_field import MotionFieldNetwork, VolumeMotion
from latentface.networks.vid2vid.spade import SpadeDecoder
from latentface.networks.vid2vid.volume import VolumeResidual

SLOPE = 0.01  # of the leaky relu behind the flattened volume


@dataclass(frozen=True, eq=False)
class Appearance:
    """The data of a source used in every frame: the picture [N, 3, H, W] in [0, 1] and its volume [N, C, D, h, w]."""

    picture: Tensor
    volume: Tensor

    def expand(self, count: int) -> Appearance:
        """The same source for each of `count` frames."""
        parts = (part.expand(count, *part.shape[1:]) for part in (self.picture, self.volume))
        return Appearance(*parts)


class FreeViewGenerator(nn.Module):
    """`encode` a source once, then `forward` for each driving frame."""

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        self.blend, self.shape = config.blend, (config.volume, config.depth)
        widths = [min(config.generator_max, config.generator_width * 2**i) for i in range(config.generator_blocks + 1)]
        self.dense_motion_network = MotionFieldNetwork(config)
        self.first = ConvNorm(3, widths[0], config.first_kernel)
        self.down_blocks = nn.ModuleList(map(Down, widths, widths[1:]))
        self.second = nn.Conv2d(widths[-1], config.generator_max, 1)
        self.resblocks_3d = nn.Sequential()
        for i in range(config.bottleneck_blocks):
            self.resblocks_3d.add_module(f"3dr{i}", VolumeResidual(config.volume))
        self.third = ConvNorm(config.generator_max, config.inner, slope=SLOPE)
        self.fourth = nn.Conv2d(config.inner, config.inner, 1)
        self.decoder = SpadeDecoder(config) if config.decoder == "spade" else None
        if self.decoder is None:
            self._add_decoder(config)

    def _add_decoder(self, config: Vid2VidConfig) -> None:
        self.resblocks_2d = nn.Sequential()
        for i in range(config.bottleneck_blocks):
            self.resblocks_2d.add_module(f"2dr{i}", Residual(config.inner))
        widths = [config.generator_width * 2**i for i in reversed(range(config.generator_blocks + 1))]
        self.up_blocks = nn.ModuleList(map(Up, widths, widths[1:]))
        self.final = nn.Conv2d(config.generator_width, 4 if config.blend else 3, 7, padding=3)

    def encode(self, picture: Tensor) -> Appearance:
        """The computation that is the same for all frames of a source [N, 3, H, W] in [0, 1]."""
        features = self.first(picture)
        for block in self.down_blocks:
            features = block(features)
        features = self.second(features)
        volume = features.view(len(features), *self.shape, *features.shape[2:])
        return Appearance(picture, self.resblocks_3d(volume))

    def forward(self, source: Appearance, at: Head, to: Head) -> Prediction:
        """The source with its head moved from `at` to `to`."""
        motion: VolumeMotion = self.dense_motion_network(source.volume, at, to)
        return self.paint(source, motion)

    def paint(self, source: Appearance, motion: VolumeMotion) -> Prediction:
        """The source moved by a motion."""
        out = warp_volume(source.volume, motion.field, self.blend).flatten(1, 2)
        out = self.fourth(self.third(out))
        out = out * resize(motion.occlusion, *out.shape[2:]).to(out.dtype)
        out = self.decode(out).float()
        field, mask = motion.seen
        flat = DenseMotion(field, motion.occlusion, mask, mask[:, :, None])
        return Prediction(out[:, :3], out[:, 3:] if self.blend else None, flat)

    def decode(self, features: Tensor) -> Tensor:
        """The picture in [0, 1], and the share if the network blends, of features [N, C, h, w]."""
        if self.decoder is not None:
            picture: Tensor = self.decoder(features)
            return picture
        out = self.resblocks_2d(features)
        for block in self.up_blocks:
            out = block(out)
        return torch.sigmoid(self.final(out).float())

    def deform(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The warped source [N, C, H, W] alone."""
        return deform(source, drawn, self.blend, self.blend)

    def compose(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The finished frame at the size of a source [N, C, H, W] in [0, 1]; see `motion.generator.compose`."""
        return compose(source, drawn, self.deform)
