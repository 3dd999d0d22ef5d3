"""Smooth random pictures, where distortions show."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def smooth_images(count: int, side: int = 32) -> np.ndarray:
    """Smooth random pictures, uint8 [N, side, side, 3]."""
    source = torch.Generator().manual_seed(4)
    coarse = torch.rand(count, 3, 5, 5, generator=source)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (smooth.permute(0, 2, 3, 1) * 255).to(torch.uint8).numpy()


def smooth_pictures(count: int = 6, side: int = 32) -> Tensor:
    """The same as float32 [N, 3, side, side] in [-1, 1]."""
    return torch.from_numpy(smooth_images(count, side)).permute(0, 3, 1, 2).float() / 127.5 - 1
