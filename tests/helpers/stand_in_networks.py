"""Stand-ins for the networks that look at faces, for pictures of any size: colours tell persons and expressions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.fusion.objective import FaceNetworks
from tests.helpers.cli_desk import PixelDistance, face_points


def stand_in_networks(device: str = "cpu") -> FaceNetworks:
    points = torch.from_numpy(face_points() * 0.6 + (0.2, 0.25)).float()

    def half(crops: Tensor, lower: bool) -> Tensor:
        rows = crops.chunk(2, dim=2)[int(lower)]
        return F.adaptive_avg_pool2d(rows, 4).flatten(1)

    return FaceNetworks(
        identity=lambda crops: F.normalize(half(crops, False), dim=1),
        emotion=lambda crops: half(crops, True),
        landmarks=lambda crops: points + 0.05 * half(crops, True).repeat(1, 3)[:, :136].reshape(-1, 68, 2),
        perceptual=PixelDistance(),
    )
