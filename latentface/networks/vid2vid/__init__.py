"""Free-view talking head: head state, motion of a volume of features, generator."""

from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.generator import Appearance
from latentface.networks.vid2vid.geometry import Head
from latentface.networks.vid2vid.model import Vid2VidModel

__all__ = ["Appearance", "Head", "Vid2VidConfig", "Vid2VidModel"]
