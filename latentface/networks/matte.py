"""A small U-Net that tells people from their background in the crop of a face."""

from __future__ import annotations

from latentface.networks.u_net import CropMap, CropMapConfig


class MatteConfig(CropMapConfig):
    """Shape of a MatteNet."""


class MatteNet(CropMap):
    """Crops [N, 3, S, S] in [-1, 1] -> logits [N, 1, S, S] of how much of each pixel belongs to a person."""
