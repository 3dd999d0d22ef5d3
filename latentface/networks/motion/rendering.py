"""What models that move keypoints have in common: from a source and two states of its keypoints to a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from latentface.errors import UsageError

if TYPE_CHECKING:
    from latentface.networks.motion.generator import Prediction


class Source(Protocol):
    """An encoded source."""

    @property
    def picture(self) -> Tensor:
        """The source itself, [N, 3, H, W] in [0, 1]."""

    def expand(self, count: int, /) -> Any:
        """The same for each of `count` frames."""


class State(Protocol):
    """The keypoints of pictures, or the state of a head that they follow from."""

    @property
    def value(self) -> Tensor:
        """The keypoints [N, K, D] in [-1, 1]."""

    def expand(self, count: int, /) -> Any:
        """The same for each of `count` frames."""


SourceT = TypeVar("SourceT", bound=Source)
StateT = TypeVar("StateT", bound=State)


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered frame and its intermediate results.

    ``prediction`` and ``deformed`` [N, 3, H, W] in [-1, 1]: the frame, and the warped source alone; ``occlusion`` [N,
    1, h, w] from 0 to 1: 0 where the source shows nothing.
    """

    prediction: Tensor
    deformed: Tensor
    occlusion: Tensor


class RenderingModel(nn.Module, ABC, Generic[SourceT, StateT]):
    """Finds keypoints in pictures, and renders a source with its keypoints moved.

    Pictures are [N, 3, H, W] in [-1, 1]; the generator sees [0, 1], as published weights expect.
    """

    generator: Any  # a module with `encode`, `compose` and `deform`

    @abstractmethod
    def keypoints(self, pictures: Tensor) -> StateT:
        """The keypoints of pictures [N, 3, H, W]; UsageError for another shape."""

    def encode(self, source: Tensor) -> SourceT:
        """Encode a source [N, 3, H, W] for `render`, once for many frames; UsageError for another shape."""
        self._check(source)
        found: SourceT = self.generator.encode((source + 1) / 2)
        return found

    def render(self, source: Tensor | SourceT, source_keypoints: StateT, driving_keypoints: StateT) -> Rendering:
        """The source [N, 3, H, W] (or `encode` of it), its keypoints moved to those of the driving frame.

        One source serves any number of driving frames: a batch of 1 is repeated.

        Raises:
            UsageError: the shapes do not match.
        """
        encoded = self.encode(source) if isinstance(source, Tensor) else source
        drawn = self.predict(encoded, source_keypoints, driving_keypoints)
        picture = encoded.picture.expand(len(drawn.painted), -1, -1, -1)
        prediction, deformed = self.generator.compose(picture, drawn), self.generator.deform(picture, drawn)
        return Rendering(prediction * 2 - 1, deformed * 2 - 1, drawn.motion.occlusion)

    def predict(self, source: SourceT, source_keypoints: StateT, driving_keypoints: StateT) -> Prediction:
        """The prediction from which `compose` makes frames; raises the same errors as `render`."""
        before, after = source_keypoints.value, driving_keypoints.value
        frames = len(after)
        for name, part in (("sources", source.picture), ("source keypoints", before)):
            if len(part) not in (1, frames):
                raise UsageError(f"render: {len(part)} {name} for {frames} driving frames; expected 1 or {frames}")
        if before.shape[1:] != after.shape[1:]:
            shapes = f"{list(before.shape)} and {list(after.shape)}"
            raise UsageError(f"render: keypoints of shapes {shapes}; expected as many of both")
        drawn: Prediction = self.generator(source.expand(frames), source_keypoints.expand(frames), driving_keypoints)
        return drawn

    def compose(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The frame at the size of any picture of the source, [N, C, H, W] in [-1, 1].

        Extra channels (alpha) are moved along. A network that blends takes detail from the picture; the output of
        others is resized.
        """
        repeated = source.expand(len(drawn.painted), -1, -1, -1)
        frame: Tensor = self.generator.compose((repeated + 1) / 2, drawn) * 2 - 1
        return frame

    @abstractmethod
    def _check(self, pictures: Tensor) -> None:
        """Raise UsageError for pictures of a shape that the model cannot take."""
