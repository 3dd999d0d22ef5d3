"""The operations StyleGAN2 is made of, in plain torch: differentiable any number of times, on any device.

`ops` imports torch and nothing else of this package.
"""

from __future__ import annotations

from latentface.ops.activation import bias_act
from latentface.ops.checksum import checksums
from latentface.ops.filtering import make_filter, upfirdn2d, upsample2d
from latentface.ops.modulation import modulated_conv2d
from latentface.ops.precision import without_autocast
from latentface.ops.styled import PreparedWeight, styled_conv2d

__all__ = [
    "PreparedWeight",
    "bias_act",
    "checksums",
    "make_filter",
    "modulated_conv2d",
    "styled_conv2d",
    "upfirdn2d",
    "upsample2d",
    "without_autocast",
]
