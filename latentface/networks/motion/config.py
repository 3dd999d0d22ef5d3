"""Sizes and arithmetic of a First Order Motion Model, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields

from latentface.errors import UsageError


@dataclass(frozen=True)
class MotionConfig:
    """Everything that determines the shape and arithmetic of a motion model; the defaults are those of vox-256.

    A width is the number of channels at full size; it doubles with every halving, up to the corresponding `_max`.

    Attributes:
        resolution: side of the pictures in pixels that it was trained on.
        num_keypoints: K. temperature: of the softmax over a keypoint's map.
        scale: factor by which the picture is reduced for keypoints and dense motion (1, 1/2, 1/4 or 1/8).
        keypoint_scale: a separate scale for the keypoints, if different.
        keypoint_stem: channels of a convolution and halving before the keypoints' hourglass, which gives the detector a
            finer input than its maps; 0 for none.
        keypoint_padding: around the features before the keypoints' last convolution (7 x 7). With 3, a peak in the map
            is at the position of the point in the picture; with 0, as published, the network has to learn the shift.
        variance: variance of the Gaussians that encode keypoints for the dense motion network, in half pictures
            squared.
        align_corners: the meaning of positions in warps; the published networks were trained with True, which matches
            their grids, where -1 and 1 are the centres of the outer pixels.
        keypoint_width, keypoint_max, keypoint_blocks: the hourglass of the keypoint detector.
        dense_width, dense_max, dense_blocks: the hourglass of the dense motion.
        generator_width, generator_max, generator_blocks: the generator's halvings. bottleneck_blocks: residual blocks.
        blend: the generator also predicts where to show the warped source itself. The published networks do not; it
            saves a small network from repainting what is already there.

    Raises:
        UsageError: a value outside these ranges.
    """

    resolution: int = 256
    num_keypoints: int = 10
    scale: float = 0.25
    keypoint_scale: float | None = None
    keypoint_stem: int = 0
    keypoint_padding: int = 0
    temperature: float = 0.1
    variance: float = 0.01
    align_corners: bool = True
    keypoint_width: int = 32
    keypoint_max: int = 1024
    keypoint_blocks: int = 5
    dense_width: int = 64
    dense_max: int = 1024
    dense_blocks: int = 5
    generator_width: int = 64
    generator_max: int = 512
    generator_blocks: int = 2
    bottleneck_blocks: int = 6
    blend: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = int(field.name not in ("keypoint_stem", "keypoint_padding"))
            if field.type == "int" and (not isinstance(value, int) or value < least):
                raise UsageError(f"{field.name}={value!r} is not possible: use {least} or more")
        for name, scale in (("scale", self.scale), ("keypoint_scale", self.keypoints_at)):
            if scale not in (1.0, 0.5, 0.25, 0.125):
                raise UsageError(f"{name}={scale} is not possible: use 1, 0.5, 0.25 or 0.125")
        if min(self.temperature, self.variance) <= 0:
            raise UsageError(f"temperature={self.temperature}, variance={self.variance}: use positive numbers")
        if self.resolution % self.multiple:
            raise UsageError(
                f"resolution {self.resolution} is not a multiple of {self.multiple}, as the halvings require"
            )

    @property
    def square(self) -> float:
        """Side of the square around a face, relative to `faces.square.SIDE` FFHQ crops."""
        return 1.0

    @property
    def keypoints_at(self) -> float:
        """The scale at which keypoints are found."""
        return self.scale if self.keypoint_scale is None else self.keypoint_scale

    @property
    def multiple(self) -> int:
        """Sides of pictures are multiples of this, so that every halving is exact."""
        halvings = self.keypoint_blocks + bool(self.keypoint_stem)
        motion = max(2**halvings / self.keypoints_at, 2**self.dense_blocks / self.scale)
        return int(max(motion, 2**self.generator_blocks))
