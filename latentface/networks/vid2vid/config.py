"""Sizes and arithmetic of a free-view talking head, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields

from latentface.errors import UsageError

POSITIVE = ("temperature", "variance", "keypoint_scale", "square")


@dataclass(frozen=True)
class Vid2VidConfig:
    """Everything that determines the shape and arithmetic of a `Vid2VidModel`; the defaults are those of vox-256.

    A width is the number of channels at full size; it doubles with every halving, up to the corresponding `_max`.

    Attributes:
        resolution: side of the pictures in pixels that it was trained on.
        square: side of the square around a face, relative to the First Order engine's.
        num_keypoints: K.
        depth: layers of the volume, D. volume: channels of its features. compress: channels of those that are moved
            by every keypoint's motion for the motion field.
        rigid: keypoints are s R (x_c + d) + t, and each moves its surroundings by the head's rotation and scale.
            Without, as published, they are R x_c + t + d, and each moves its surroundings by a shift.
        variance: of the Gaussians that encode keypoints in the motion field.
        reader: "regression", one network for pose, expression and canonical keypoints; or "bins", as published, with a
            keypoint detector (an hourglass from a picture to a volume) and an estimator of pose and expression.
        reader_widths: channels of the regression network at 1/2, 1/4, 1/8 and 1/16. reader_features: of its last layer.
        keypoint_scale, keypoint_width, keypoint_max, keypoint_blocks, keypoint_channels, temperature: the published
            keypoint detector, whose innermost maps have `keypoint_channels` channels before they become a volume.
        pose_width, pose_levels: the published estimator of pose and expression. bins: of an angle, three degrees each.
        dense_width, dense_max, dense_blocks: the hourglass of the motion field. dense_kernel: side of its last kernels.
            dense_mix: a convolution more at the hourglass's end.
        generator_width, generator_max, generator_blocks, bottleneck_blocks: the generator. first_kernel: side of its
            first kernels.
        decoder: "residual", or "spade" (spatially adaptive normalisation).
        blend: the generator also predicts where to show the warped source itself, which keeps the photo's detail. The
            published networks do not.

    Raises:
        UsageError: a value outside these ranges.
    """

    resolution: int = 256
    square: float = 1.0
    num_keypoints: int = 15
    depth: int = 16
    volume: int = 32
    compress: int = 4
    rigid: bool = False
    variance: float = 0.01
    reader: str = "bins"
    reader_widths: tuple[int, int, int, int] = (24, 48, 96, 160)
    reader_features: int = 160
    keypoint_scale: float = 0.25
    keypoint_width: int = 32
    keypoint_max: int = 1024
    keypoint_blocks: int = 5
    keypoint_channels: int = 16384
    temperature: float = 0.1
    pose_width: int = 64
    pose_levels: tuple[int, int, int, int] = (256, 512, 1024, 2048)
    bins: int = 66
    dense_width: int = 32
    dense_max: int = 1024
    dense_blocks: int = 5
    dense_kernel: int = 7
    dense_mix: bool = True
    generator_width: int = 64
    generator_max: int = 512
    generator_blocks: int = 2
    first_kernel: int = 7
    bottleneck_blocks: int = 6
    decoder: str = "residual"
    blend: bool = False

    def __post_init__(self) -> None:
        for name in ("reader_widths", "pose_levels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists if they come from a file
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{field.name}={value!r} is not possible: use 1 or more")
        for name, known in (("reader", ("regression", "bins")), ("decoder", ("residual", "spade"))):
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)!r} is not possible: use {' or '.join(known)}")
        if min(getattr(self, name) for name in POSITIVE) <= 0:
            raise UsageError(f"{', '.join(POSITIVE)} must be positive numbers")
        self._check_shapes()

    def _check_shapes(self) -> None:
        if self.generator_max != self.volume * self.depth:
            raise UsageError(
                f"generator_max={self.generator_max} channels do not fill {self.volume} x {self.depth} of the volume"
            )
        if self.reader == "bins" and self.keypoint_channels % self.depth:
            raise UsageError(f"keypoint_channels={self.keypoint_channels} is not a multiple of depth={self.depth}")
        if self.decoder == "spade" and self.blend:
            raise UsageError("decoder='spade' cannot blend; use decoder='residual'")
        if self.resolution % self.multiple:
            raise UsageError(
                f"resolution {self.resolution} is not a multiple of {self.multiple}, as the halvings require"
            )

    @property
    def inner(self) -> int:
        """Channels of the generator's maps between its halvings and doublings."""
        return int(self.generator_width * 2**self.generator_blocks)

    @property
    def multiple(self) -> int:
        """Sides of pictures are multiples of this, so that every halving is exact."""
        motion = 2 ** (self.generator_blocks + self.dense_blocks)
        reading = round(2**self.keypoint_blocks / self.keypoint_scale) if self.reader == "bins" else 16
        return int(max(motion, reading))
