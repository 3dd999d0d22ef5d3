"""A small U-Net that finds what is in front of a face: hands, microphones, phones, cups, cloths, strands of hair."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.networks.u_net import CropMap, CropMapConfig


@dataclass(frozen=True)
class OccluderConfig(CropMapConfig):
    """Shape of an OccluderNet."""

    widths: tuple[int, ...] = (16, 32, 48, 64, 80)


class OccluderNet(CropMap):
    """Crops [N, 3, S, S] in [-1, 1] -> logits [N, 1, S, S] of what is in front of the face."""
