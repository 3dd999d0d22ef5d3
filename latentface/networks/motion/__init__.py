"""First Order Motion Model: keypoints, dense motion, occlusion-aware generator, discriminator."""

from latentface.networks.motion.config import MotionConfig
from latentface.networks.motion.generator import Encoded
from latentface.networks.motion.geometry import Keypoints
from latentface.networks.motion.model import MotionModel
from latentface.networks.motion.rendering import Rendering, RenderingModel

__all__ = ["Encoded", "Keypoints", "MotionConfig", "MotionModel", "Rendering", "RenderingModel"]
