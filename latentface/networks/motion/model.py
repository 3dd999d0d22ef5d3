"""The complete First Order model, with two methods: `keypoints` and `render`."""

from __future__ import annotations

from torch import Tensor

from latentface.errors import UsageError
from latentface.networks.motion.config import MotionConfig
from latentface.networks.motion.generator import Encoded, OcclusionAwareGenerator
from latentface.networks.motion.geometry import Keypoints
from latentface.networks.motion.keypoints import KeypointDetector
from latentface.networks.motion.rendering import RenderingModel


class MotionModel(RenderingModel[Encoded, Keypoints]):
    """First Order Motion Model for Image Animation (Siarohin et al., NeurIPS 2019).

    Both sides of its pictures are multiples of `config.multiple`.
    """

    generator: OcclusionAwareGenerator

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

    def _check(self, pictures: Tensor) -> None:
        multiple = self.config.multiple
        if pictures.ndim != 4 or pictures.shape[1] != 3 or any(s % multiple or not s for s in pictures.shape[2:]):
            raise UsageError(
                f"motion model: pictures of shape {list(pictures.shape)}; expected [N, 3, H, W], sides multiples of "
                f"{multiple}"
            )
