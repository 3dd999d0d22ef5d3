"""Measures of expression from landmarks, and the region of a picture that expressions change.

Pictures are FFHQ crops, float [N, 3, R, R] in [-1, 1]; landmarks [N, 68, 2] are in crop units (0 ... 1 from edge to
edge). Everything but the mask is differentiable.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.faces.regions import expressive_region
from latentface.networks.landmarks import LandmarkNet

#: Standard deviations of the measures over 2,000 rendered faces of all emotions, in inter-ocular distances.
SPREAD = (0.082, 0.088, 0.064, 0.064, 0.046, 0.105, 0.122, 0.038, 0.038, 0.063, 0.063, 0.045, 0.045, 0.026)


def crop_landmarks(network: LandmarkNet, crops: Tensor) -> Tensor:
    """Landmarks [N, 68, 2] of FFHQ crops of any size, by one pass of the network over the part it was trained on."""
    config = network.config
    side = round(config.input_size / config.frame_scale)
    if crops.shape[-1] > side:
        crops = F.interpolate(crops, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    low = torch.tensor([0.5, 0.5 + config.frame_shift], device=crops.device) - config.frame_scale / 2
    steps = (torch.arange(config.input_size, device=crops.device) + 0.5) / config.input_size * config.frame_scale
    x, y = steps + low[0], steps + low[1]  # crop units; the frame extends slightly beyond the crop below the chin
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1) * 2 - 1
    framed = F.grid_sample(
        crops.float(), grid.expand(len(crops), -1, -1, -1), padding_mode="reflection", align_corners=False
    )
    points: Tensor = network(framed) * config.frame_scale + low
    return points


def measure_expression(points: Tensor) -> Tensor:
    """Measures of brows, eyes and mouth: [N, 14], each in units of its standard deviation over faces.

    Lengths are measured in the frame of the face (x along the eye line, y down, in inter-ocular distances), relative to
    parts that an expression does not move, so that position, size and tilt of the face do not matter.
    """
    left, right = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    across = right - left
    unit = across.square().sum(1, keepdim=True)
    down = torch.stack([-across[:, 1], across[:, 0]], dim=1)
    offset = points - ((left + right) / 2)[:, None]
    x = (offset * across[:, None]).sum(2) / unit
    y = (offset * down[:, None]).sum(2) / unit
    lips = (y[:, 51] + y[:, 57]) / 2
    measures = [
        (y[:, 65:68] - y[:, [63, 62, 61]]).mean(1),  # mouth open
        x[:, 54] - x[:, 48],  # mouth width
        y[:, 48] - lips,  # mouth corners up (left in the picture, then right)
        y[:, 54] - lips,
        y[:, 51] - y[:, 33],  # upper lip under the nose
        y[:, 57] - y[:, 33],  # lower lip
        y[:, 8] - y[:, 33],  # chin
        (y[:, 40:42] - y[:, [38, 37]]).mean(1),  # eye open
        (y[:, 46:48] - y[:, [44, 43]]).mean(1),
        y[:, 20:22].mean(1) - y[:, 39],  # inner brow over the inner corner of its eye
        y[:, 22:24].mean(1) - y[:, 42],
        y[:, 17:20].mean(1) - y[:, 36],  # outer brow over the outer corner
        y[:, 24:27].mean(1) - y[:, 45],
        x[:, 22] - x[:, 21],  # between the brows
    ]
    return torch.stack(measures, dim=1) / torch.tensor(SPREAD, dtype=points.dtype, device=points.device)


def still_parts(points: Tensor, side: int) -> Tensor:
    """The part of a crop that no expression of these faces [N, 68, 2] changes: [1, 1, side, side], 1 or 0."""
    moving = [expressive_region(each * side - 0.5, (side, side)) for each in points.detach().cpu().double().numpy()]
    return torch.from_numpy(~np.logical_or.reduce(moving)).to(points)[None, None]
