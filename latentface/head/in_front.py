"""The networks that find what is in front of a face: spectacles, which go with the head, and other things."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.networks.matte import MatteNet
from latentface.networks.occluders import OccluderNet
from latentface.networks.spectacles import SpectaclesNet


@dataclass(frozen=True, eq=False)
class Finders:
    """The networks; matte tells people from what stands behind them, which otherwise moves along."""

    spectacles: SpectaclesNet
    occluders: OccluderNet
    matte: MatteNet | None = None
