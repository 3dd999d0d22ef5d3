"""The complete free-view talking head, with the methods of the First Order model: `keypoints`, `encode`, `render`."""

from __future__ import annotations

from torch import Tensor, nn

from latentface.errors import UsageError
from latentface.networks.motion.generator import Prediction
from latentface.networks.motion.model import Rendering
from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.generator import Appearance, FreeViewGenerator
from latentface.networks.vid2vid.geometry import Head
from latentface.networks.vid2vid.published import BinnedReader
from latentface.networks.vid2vid.reader import HeadRegression


class Vid2VidModel(nn.Module):
    """One-Shot Free-View Neural Talking-Head Synthesis (Wang, Mallya and Liu, CVPR 2021).

    Pictures are [N, 3, H, W] in [-1, 1], with both sides `config.resolution`.
    """

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

    def encode(self, source: Tensor) -> Appearance:
        """Encode a source [N, 3, R, R] for `render`, once for many frames."""
        self._check(source)
        return self.generator.encode((source + 1) / 2)

    def render(self, source: Tensor | Appearance, source_head: Head, driving_head: Head) -> Rendering:
        """The source [N, 3, R, R] (or `encode` of it), its head moved to the state of the driving frame's.

        One source serves any number of driving frames: a batch of 1 is repeated.

        Raises:
            UsageError: the shapes do not match.
        """
        encoded = self.encode(source) if isinstance(source, Tensor) else source
        drawn = self.predict(encoded, source_head, driving_head)
        picture = encoded.picture.expand(len(drawn.painted), -1, -1, -1)
        prediction, deformed = self.generator.compose(picture, drawn), self.generator.deform(picture, drawn)
        return Rendering(prediction * 2 - 1, deformed * 2 - 1, drawn.motion.occlusion)

    def predict(self, source: Appearance, source_head: Head, driving_head: Head) -> Prediction:
        """The prediction from which `compose` makes frames; raises the same errors as `render`."""
        frames = len(driving_head.angles)
        for name, part in (("sources", source.picture), ("source heads", source_head.angles)):
            if len(part) not in (1, frames):
                raise UsageError(f"render: {len(part)} {name} for {frames} driving frames; expected 1 or {frames}")
        if source_head.canonical.shape[1:] != driving_head.canonical.shape[1:]:
            shapes = f"{list(source_head.canonical.shape)} and {list(driving_head.canonical.shape)}"
            raise UsageError(f"render: keypoints of shapes {shapes}; expected as many of both")
        drawn: Prediction = self.generator(source.expand(frames), source_head.expand(frames), driving_head)
        return drawn

    def compose(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The frame at the size of any picture of the source, [N, C, H, W] in [-1, 1].

        Extra channels (alpha) are moved along. A network that blends takes detail from the picture; the output of
        others is resized.
        """
        repeated = source.expand(len(drawn.painted), -1, -1, -1)
        return self.generator.compose((repeated + 1) / 2, drawn) * 2 - 1

    def _check(self, pictures: Tensor) -> None:
        side = self.config.resolution
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (3, side, side):
            raise UsageError(
                f"free-view model: pictures of shape {list(pictures.shape)}; expected [N, 3, {side}, {side}]"
            )
