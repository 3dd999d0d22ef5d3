"""68-point landmark regressor: a residual encoder, two upsampling steps, and the expected position in each heat map.

The integral over a heat map (Sun et al. 2018, "Integral human pose regression") has sub-cell precision and can be
trained on coordinates alone. Group normalisation removes each picture's own contrast from the features, which matters
when pictures differ from the training data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from latentface.errors import UsageError
from latentface.networks.trunk import FaceEncoder, ResidualBlock

NUM_POINTS = 68


@dataclass(frozen=True)
class LandmarkConfig:
    """Shape of a LandmarkNet and the part of the face that it uses.

    input_size: side of the square input in pixels, a multiple of 16. widths: channels at 1/2, 1/4, 1/8 and 1/16 of
    it. decoder: channels of the maps at 1/4. blocks: residual blocks for each level. frame_scale, frame_shift: the
    input shows the FFHQ square scaled by frame_scale about its centre moved down by frame_shift, both in sides of that
    square (the face fills its lower middle).
    """

    input_size: int = 96
    widths: tuple[int, int, int, int] = (24, 48, 96, 160)
    decoder: int = 64
    blocks: int = 1
    frame_scale: float = 0.84
    frame_shift: float = 0.14

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file
        if self.input_size < 32 or self.input_size % 16:
            raise UsageError(f"input_size must be a multiple of 16 and at least 32, got {self.input_size}")
        if len(self.widths) != 4 or any(w < 8 or w % 8 for w in (*self.widths, self.decoder)):
            raise UsageError(f"widths and decoder must be multiples of 8, got {self.widths} and {self.decoder}")


class LandmarkNet(FaceEncoder):
    """Images [N, 3, S, S] in [-1, 1] -> landmarks [N, 68, 2] in crop units.

    A crop unit runs from 0 at the left (top) edge to 1 at the right (bottom) edge: the centre of pixel i is
    (i + 0.5) / S. `offsets` [68, 2] is added to the result in the frame of the face: x along the line from the left
    to the right eye centre, y at a right angle to it (down), in inter-ocular distances. It is zero unless the points
    are defined differently from those in the training data.
    """

    offsets: torch.Tensor

    def __init__(self, config: LandmarkConfig) -> None:
        super().__init__(config.widths, config.blocks)
        self.config = config
        _, quarter, eighth, sixteenth = config.widths
        self.up8 = nn.Conv2d(sixteenth, eighth, 1)
        self.merge8 = ResidualBlock(eighth, eighth)
        self.up4 = nn.Conv2d(eighth, config.decoder, 1)
        self.lateral4 = nn.Conv2d(quarter, config.decoder, 1)
        self.merge4 = ResidualBlock(config.decoder, config.decoder)
        self.head = nn.Conv2d(config.decoder, NUM_POINTS, 1)
        self.register_buffer("offsets", torch.zeros(NUM_POINTS, 2))

    def heat_maps(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, 68, S/4, S/4] for images [N, 3, S, S]; UsageError for another shape."""
        size = self.config.input_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise UsageError(f"LandmarkNet: expected [N, 3, {size}, {size}], got {list(images.shape)}")
        logits: torch.Tensor = self.head(self.decode(*self.encode(images)))
        return logits

    def decode(self, x4: torch.Tensor, x8: torch.Tensor, x16: torch.Tensor) -> torch.Tensor:
        """The input of the linear map to the heat maps, [N, D, S/4, S/4], from the encoder's maps."""
        y8 = self.merge8(x8 + _double(self.up8(x16)))
        y4: torch.Tensor = self.merge4(self.lateral4(x4) + _double(self.up4(y8)))
        return y4

    def locate(self, logits: torch.Tensor) -> torch.Tensor:
        """Landmarks [N, 68, 2] (x, y) in crop units from heat maps [N, 68, H, W]."""
        points = spatial_mean(logits.float())
        return apply_offsets(points, self.offsets.to(points.dtype))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Landmarks [N, 68, 2] (x, y) in crop units for images [N, 3, S, S] in [-1, 1]."""
        return self.locate(self.heat_maps(images))


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def spatial_mean(logits: torch.Tensor) -> torch.Tensor:
    """Expected position [N, K, 2] (x, y) under the softmax of each map of logits [N, K, H, W], in units of the side."""
    height, width = logits.shape[2:]
    weights = logits.flatten(2).softmax(2).reshape(logits.shape)
    x = (torch.arange(width, dtype=logits.dtype, device=logits.device) + 0.5) / width
    y = (torch.arange(height, dtype=logits.dtype, device=logits.device) + 0.5) / height
    return torch.stack([(weights.sum(2) * x).sum(2), (weights.sum(3) * y).sum(2)], dim=2)


def apply_offsets(points: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Move points [N, 68, 2] by offsets [68, 2] given in the frame of each face (see LandmarkNet)."""
    across = points[:, 42:48].mean(1, keepdim=True) - points[:, 36:42].mean(1, keepdim=True)  # [N, 1, 2]
    down = torch.stack([-across[..., 1], across[..., 0]], dim=-1)
    return points + offsets[:, :1] * across + offsets[:, 1:] * down


def eye_frame(points: torch.Tensor) -> torch.Tensor:
    """Points [N, 68, 2] in the frame of each face, in inter-ocular distances.

    The origin is the midpoint of the eyes; x runs along the line from the left to the right eye centre, y at a right
    angle to it, down.
    """
    left, right = points[:, 36:42].mean(1, keepdim=True), points[:, 42:48].mean(1, keepdim=True)
    across = right - left  # [N, 1, 2]
    down = torch.stack([-across[..., 1], across[..., 0]], dim=-1)
    axes = torch.cat([across, down], dim=1) / across.square().sum(2, keepdim=True).clamp(min=1e-6)
    return (points - (left + right) / 2) @ axes.transpose(1, 2)
