"""Reads a head's state from a picture: pose, expression and canonical keypoints by regression."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.networks.trunk import FaceEncoder
from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.geometry import Head

ANGLE_UNIT = 30.0  # degrees that an output of 1 stands for
FINE, COARSE = 8, 32  # channels of the maps at 1/8 and 1/16 that are used for the features


class HeadRegression(FaceEncoder):
    """Pictures [N, 3, R, R] in [-1, 1] -> `Head`, in one pass of a residual encoder.

    Its outputs are yaw, pitch and roll in units of 30 degrees, the logarithm of the scale, x and y of the translation
    (its z is 0: the projection is orthographic), canonical keypoints and their deformation.
    """

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__(config.reader_widths)
        self.keypoints, self.rigid = config.num_keypoints, config.rigid
        _, _, eighth, sixteenth = config.reader_widths
        cells = (config.resolution // 16) ** 2
        self.fine, self.coarse = nn.Conv2d(eighth, FINE, 1), nn.Conv2d(sixteenth, COARSE, 1)
        self.mix = nn.Linear((4 * FINE + COARSE) * cells, config.reader_features)
        self.out = nn.Linear(config.reader_features, 6 + 6 * self.keypoints)

    def forward(self, pictures: Tensor) -> Head:
        """The head in each picture, in float32."""
        _, x8, x16 = self.encode(pictures)
        maps = [F.relu(self.fine(x8)).flatten(1), F.relu(self.coarse(x16)).flatten(1)]
        values = self.out(F.relu(self.mix(torch.cat(maps, 1)))).float()
        canonical, deformation = values[:, 6:].view(len(values), 2, self.keypoints, 3).unbind(1)
        translation = F.pad(values[:, 4:6], (0, 1))
        return Head(
            canonical, ANGLE_UNIT * values[:, :3], values[:, 3:4].exp(), translation, deformation, rigid=self.rigid
        )
