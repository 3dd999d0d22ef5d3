"""The complete free-view talking head, with the methods of the First Order model."""

from __future__ import annotations

from torch import Tensor, nn

from latentface.errors import UsageError
from latentface.networks.motion.rendering import RenderingModel
from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.generator import Appearance, FreeViewGenerator
from latentface.networks.vid2vid.geometry import Head
from latentface.networks.vid2vid.published import BinnedReader
from latentface.networks.vid2vid.reader import HeadRegression


class Vid2VidModel(RenderingModel[Appearance, Head]):
    """One-Shot Free-View Neural Talking-Head Synthesis (Wang, Mallya and Liu, CVPR 2021).

    Both sides of its pictures are `config.resolution`.
    """

    generator: FreeViewGenerator

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        self.config = config
        self.reader: nn.Module = (HeadRegression if config.reader == "regression" else BinnedReader)(config)
        self.generator = FreeViewGenerator(config)

    def keypoints(self, pictures: Tensor) -> Head:
        """The state of the head in pictures [N, 3, R, R]; UsageError for another shape."""
        self._check(pictures)
        found: Head = self.reader(pictures)
        return found

    def _check(self, pictures: Tensor) -> None:
        side = self.config.resolution
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (3, side, side):
            raise UsageError(
                f"free-view model: pictures of shape {list(pictures.shape)}; expected [N, 3, {side}, {side}]"
            )
