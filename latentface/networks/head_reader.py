"""Expression, gaze and head pose from a face crop, each with its uncertainty.

A residual encoder that keeps the spatial layout of its last two maps, because the position of a brow or a mouth corner
matters as much as its presence. The uncertainty is learnt together with the estimate (Nix and Weigend 1994), so that a
hidden eye or mouth can be distinguished from a visible one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError
from latentface.networks.trunk import FaceEncoder

ANGLES = 4  # gaze yaw and pitch, head yaw and pitch
ANGLE_UNIT = 30.0  # the angle in degrees that corresponds to an output of 1
LEAST_DEVIATION = 0.02


@dataclass(frozen=True)
class HeadReaderConfig:
    """Shape of a HeadReaderNet and the part of the face that it uses.

    expression_names: the shapes that it estimates, in order, without the eyeLook shapes, which belong to the gaze.
    input_size:
    side of the square input in pixels, a multiple of 16. widths: channels at 1/2, 1/4, 1/8 and 1/16 of it. fine,
    coarse: channels of the maps at 1/8 and 1/16 that are used for the features. features: length of their vector.
    frame_scale,
    frame_shift: see `networks.landmarks.LandmarkConfig`.
    """

    expression_names: tuple[str, ...]
    input_size: int = 112
    widths: tuple[int, int, int, int] = (24, 48, 96, 160)
    fine: int = 8
    coarse: int = 32
    features: int = 128
    frame_scale: float = 0.84
    frame_shift: float = 0.14

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # lists if they come from a file
        object.__setattr__(self, "expression_names", tuple(self.expression_names))
        if self.input_size < 32 or self.input_size % 16:
            raise UsageError(f"input_size must be a multiple of 16 and at least 32, got {self.input_size}")
        if not self.expression_names:
            raise UsageError("expression_names must not be empty: name the shapes that the network estimates")


class HeadReaderNet(FaceEncoder):
    """Images [N, 3, S, S] in [-1, 1] -> means [N, E + 4] and standard deviations [N, E + 4].

    The first E are weights of the shapes; the last four are gaze yaw, gaze pitch, head yaw and head pitch in units of
    30 degrees.
    """

    def __init__(self, config: HeadReaderConfig) -> None:
        super().__init__(config.widths)
        self.config = config
        _, _, eighth, sixteenth = config.widths
        cells = config.input_size // 16
        self.fine = nn.Conv2d(eighth, config.fine, 1)
        self.coarse = nn.Conv2d(sixteenth, config.coarse, 1)
        self.mix = nn.Linear(config.fine * 4 * cells**2 + config.coarse * cells**2, config.features)
        self.count = len(config.expression_names) + ANGLES
        self.mean = nn.Linear(config.features, self.count)
        self.spread = nn.Linear(config.features, self.count)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, -2.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations [N, E + 4]; UsageError for images of another shape."""
        size = self.config.input_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise UsageError(f"HeadReaderNet: expected [N, 3, {size}, {size}], got {list(images.shape)}")
        _, x8, x16 = self.encode(images)
        parts = [F.relu(self.fine(x8)).flatten(1), F.relu(self.coarse(x16)).flatten(1)]
        features = F.relu(self.mix(torch.cat(parts, 1))).float()
        deviation = F.softplus(self.spread(features.detach()).float()) + LEAST_DEVIATION
        return self.mean(features).float(), deviation
