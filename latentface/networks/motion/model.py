"""The complete model, with two methods: `keypoints` and `render`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from latentface.errors import UsageError
from latentface.networks.motion.config import MotionConfig
from latentface.networks.motion.generator import Encoded, OcclusionAwareGenerator, Prediction
from latentface.networks.motion.geometry import Keypoints
from latentface.networks.motion.keypoints import KeypointDetector


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered frame and its intermediate results.

    ``prediction`` and ``deformed`` [N, 3, H, W] in [-1, 1]: the frame, and the warped source alone; ``occlusion`` [N,
    1, h, w] from 0 to 1: 0 where the source shows nothing.
    """

    prediction: Tensor
    deformed: Tensor
    occlusion: Tensor


class MotionModel(nn.Module):
    """First Order Motion Model for Image Animation (Siarohin et al., NeurIPS 2019).

    Pictures are [N, 3, H, W] in [-1, 1], both sides multiples of `config.multiple`; the networks inside see [0, 1], as
    the published weights expect.
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config
        self.kp_detector = KeypointDetector(config)
        self.generator = OcclusionAwareGenerator(config)

    def keypoints(self, pictures: Tensor) -> Keypoints:
        """The value [N, K, 2] and jacobian [N, K, 2, 2] of pictures [N, 3, H, W]; UsageError for another shape."""
        self._check(pictures)
        found: Keypoints = self.kp_detector((pictures + 1) / 2)
        return found

    def encode(self, source: Tensor) -> Encoded:
        """Encode a source [N, 3, H, W] for `render`, once for many frames."""
        self._check(source)
        return self.generator.encode((source + 1) / 2)

    def render(self, source: Tensor | Encoded, source_keypoints: Keypoints, driving_keypoints: Keypoints) -> Rendering:
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

    def predict(self, source: Encoded, source_keypoints: Keypoints, driving_keypoints: Keypoints) -> Prediction:
        """The prediction from which `compose` makes frames; raises the same errors as `render`."""
        frames = len(driving_keypoints.value)
        for name, part in (("sources", source.picture), ("source keypoints", source_keypoints.value)):
            if len(part) not in (1, frames):
                raise UsageError(f"render: {len(part)} {name} for {frames} driving frames; expected 1 or {frames}")
        if source_keypoints.value.shape[1:] != driving_keypoints.value.shape[1:]:
            shapes = f"{list(source_keypoints.value.shape)} and {list(driving_keypoints.value.shape)}"
            raise UsageError(f"render: keypoints of shapes {shapes}; expected as many of both")
        drawn: Prediction = self.generator(source.expand(frames), source_keypoints.expand(frames), driving_keypoints)
        return drawn

    def compose(self, source: Tensor, drawn: Prediction) -> Tensor:
        """The frame at the size of any picture of the source, [N, C, H, W] in [-1, 1].

        Extra channels (alpha) are moved along. A network that blends takes detail from the picture; the output of
        others is resized.
        """
        repeated = source.expand(len(drawn.painted), -1, -1, -1)
        return self.generator.compose((repeated + 1) / 2, drawn) * 2 - 1

    def _check(self, pictures: Tensor) -> None:
        multiple = self.config.multiple
        if pictures.ndim != 4 or pictures.shape[1] != 3 or any(s % multiple or not s for s in pictures.shape[2:]):
            raise UsageError(
                f"motion model: pictures of shape {list(pictures.shape)}; expected [N, 3, H, W], sides multiples of "
                f"{multiple}"
            )
