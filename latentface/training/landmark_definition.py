"""Where the mesh's landmarks and an annotator's differ: the eyebrows.

Annotators click on the eyebrow they see. The head model's brow landmarks are vertices on the brow ridge, and the hair
of the brow is drawn some way from them, the same way on every head. The distance is measured on the pictures
themselves (frontal ones, brightness along a line through each point at a right angle to the eye line), and the labels
are moved onto the drawn brow.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

BROWS = tuple(range(17, 27))
_REACH = 0.11  # how far from the label the brow is looked for, in sides of the crop
_STEPS = 89
_FRONTAL = 0.06  # tip of the nose from the middle between the eyes, in inter-ocular distances
_ENOUGH = 20


def eye_axes(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Eye line of points [N, 68, 2]: unit vectors [N, 2] along it and at a right angle (down), and its length [N]."""
    across = points[:, 42:48].mean(1) - points[:, 36:42].mean(1)
    length = across.norm(dim=1).clamp(min=1e-6)
    right = across / length[:, None]
    return right, torch.stack([-right[:, 1], right[:, 0]], dim=1), length


def measure_brow_drop(images: torch.Tensor, points: torch.Tensor) -> NDArray[np.float32]:
    """How far below each brow label the drawn brow lies: [10] for points 17-26, in sides of the crop, down positive.

    images: uint8 [N, 3, H, H]; points: [N, 68, 2] in pixels. The brow's place is the mean of its darkest line and of
    its upper edge (the steepest fall of brightness), each the median over the frontal pictures, and both sides of the
    face share one value. Zero where fewer than 20 pictures are frontal.
    """
    right, down, length = eye_axes(points)
    middle = (points[:, 36:42].mean(1) + points[:, 42:48].mean(1)) / 2
    nose = ((points[:, 30] - middle) * right).sum(1) / length
    frontal = (nose.abs() < _FRONTAL).nonzero()[:2000, 0]
    if len(frontal) < _ENOUGH:
        return np.zeros(len(BROWS), np.float32)
    side = images.shape[-1]
    along = torch.linspace(-0.5 * _REACH, _REACH, _STEPS)
    start = points[frontal][:, list(BROWS)]  # [n, 10, 2]
    place = start[:, :, None] + along[None, None, :, None] * side * down[frontal][:, None, None]  # [n, 10, steps, 2]
    grey = images[frontal].float().mean(1, keepdim=True)
    profile = F.grid_sample(grey, (place + 0.5) / side * 2 - 1, padding_mode="border", align_corners=False)[:, 0]
    darkest = along[profile.argmin(2)].median(0).values
    fall = profile[..., 2:] - profile[..., :-2]
    edge = along[fall.argmin(2) + 1].median(0).values
    drop = (darkest + edge) / 2
    return ((drop + drop.flip(0)) / 2).numpy().astype(np.float32)


def move_brows(points: torch.Tensor, drop: NDArray[np.float32], side: int) -> torch.Tensor:
    """points [N, 68, 2] (pixels of crops of that side) with the brow labels moved down by drop [10] (crop sides)."""
    _, down, _ = eye_axes(points)
    moved = points.clone()
    moved[:, list(BROWS)] += torch.from_numpy(drop)[None, :, None] * side * down[:, None]
    return moved
