"""Shape and arithmetic of a StyleGAN2 generator, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.errors import UsageError

ARCHITECTURES = ("skip", "resnet", "orig")
# far above any published network; larger values come from damaged files
MOST_WIDTH, MOST_LAYERS, MOST_TAPS = 1 << 16, 64, 32


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that determines the shape and arithmetic of a generator.

    Attributes:
        resolution: output size R in pixels, a power of two from 8 to 1024.
        z_dim, w_dim: widths of z and w. c_dim: width of the label, 0 for an unconditional network.
        num_mapping_layers: fully connected layers from z to w.
        channel_base, channel_max: channels at resolution r are min(channel_base // r, channel_max).
        architecture: "skip" (sum of upsampled RGB), "resnet" or "orig".
        conv_clamp: layer outputs are clamped to +- this, or None.
        resample_filter: taps of the separable low-pass filter of the upsampling.
        lr_multiplier: equalised learning rate of the mapping network.

    Raises:
        UsageError: a value outside these ranges.
    """

    resolution: int
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    num_mapping_layers: int = 8
    channel_base: int = 32768
    channel_max: int = 512
    architecture: str = "skip"
    conv_clamp: float | None = None
    img_channels: int = 3
    resample_filter: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)
    lr_multiplier: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "resample_filter", tuple(float(tap) for tap in self.resample_filter))
        r = self.resolution
        if not isinstance(r, int) or not 8 <= r <= 1024 or r & (r - 1):
            raise UsageError(f"resolution {r!r} is not possible: use a power of two from 8 to 1024")
        for name in ("z_dim", "w_dim", "num_mapping_layers", "channel_max", "img_channels"):
            most = MOST_LAYERS if name == "num_mapping_layers" else MOST_WIDTH
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(f"{name}={getattr(self, name)} is not possible: use 1 to {most}")
        if not 1 <= len(self.resample_filter) <= MOST_TAPS:
            raise UsageError(f"a filter of {len(self.resample_filter)} taps is not possible: use 1 to {MOST_TAPS}")
        if not 0 <= self.c_dim <= MOST_WIDTH or self.channel_base < r:
            came = f"c_dim={self.c_dim}, channel_base={self.channel_base}"
            raise UsageError(f"{came} is not possible: use c_dim >= 0 and channel_base >= {r}")
        if self.architecture not in ARCHITECTURES:
            raise UsageError(f"architecture {self.architecture!r} is unknown: use one of {', '.join(ARCHITECTURES)}")
        if self.conv_clamp is not None and self.conv_clamp <= 0:
            raise UsageError(f"conv_clamp={self.conv_clamp} is not possible: use a positive number or None")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ..., resolution."""
        return tuple(2**k for k in range(2, self.resolution.bit_length()))

    @property
    def num_ws(self) -> int:
        """2 log2(R) - 2: one w for each convolution, and one for the last to-RGB."""
        return 2 * len(self.resolutions)

    def channels(self, resolution: int) -> int:
        """Width of the feature maps at a resolution in pixels."""
        return min(self.channel_base // resolution, self.channel_max)
