"""What the engines that move keypoints have in common: a network that finds them and re-renders a face by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from torch import Tensor, nn

from latentface.networks.motion.geometry import Keypoints
from latentface.networks.vid2vid.geometry import Head

if TYPE_CHECKING:
    from latentface.networks.motion.generator import Prediction

Points = TypeVar("Points", Keypoints, Head)


class FaceModelConfig(Protocol):
    """The sizes that an engine needs."""

    @property
    def resolution(self) -> int:
        """Side of the pictures in pixels."""

    @property
    def square(self) -> float:
        """Side of the square around a face, relative to `faces.square.SIDE` FFHQ crops."""


class FaceModel(Protocol[Points]):
    """`MotionModel`, whose points are keypoints in the plane, or `Vid2VidModel`, whose points are a head in space."""

    @property
    def config(self) -> FaceModelConfig:
        """Its sizes."""

    def keypoints(self, pictures: Tensor, /) -> Points:
        """The points of pictures [N, 3, R, R] in [-1, 1]."""

    def encode(self, source: Tensor, /) -> Any:
        """What `predict` needs of a source."""

    def predict(self, source: Any, at: Points, to: Points, /) -> Prediction:
        """The parts of a frame in which the source's points are moved."""

    def compose(self, source: Tensor, drawn: Prediction, /) -> Tensor:
        """The frame at the size of any picture of the source."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Its weights, which say on which device it is."""
