"""Keypoints with Jacobians, and the motion of the plane that they define.

Positions are (x, y) in [-1, 1]: pixel i of n lies at 2i/(n-1) - 1. 2 x 2 products are written out, because
automatic mixed precision would round a matrix product to half precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_DETERMINANT = 1e-4  # a smaller determinant is replaced by this before inversion


@dataclass(frozen=True, eq=False)
class Keypoints:
    """``value`` [N, K, 2] and ``jacobian`` [N, K, 2, 2]: positions, and local affine motions around them."""

    value: Tensor
    jacobian: Tensor

    def __getitem__(self, item: slice) -> Keypoints:
        return Keypoints(self.value[item], self.jacobian[item])

    def expand(self, count: int) -> Keypoints:
        """The same keypoints for each of `count` frames."""
        return Keypoints(self.value.expand(count, -1, -1), self.jacobian.expand(count, -1, -1, -1))

    def detach(self) -> Keypoints:
        """The same keypoints outside the graph of gradients."""
        return Keypoints(self.value.detach(), self.jacobian.detach())


def grid(height: int, width: int, like: Tensor) -> Tensor:
    """The positions of a picture's pixels, float32 [H, W, 2]."""
    y = torch.linspace(-1, 1, height, device=like.device) if height > 1 else torch.zeros(1, device=like.device)
    x = torch.linspace(-1, 1, width, device=like.device) if width > 1 else torch.zeros(1, device=like.device)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrices [..., 2, 2] times vectors [..., 2]."""
    return matrix[..., 0] * vector[..., :1] + matrix[..., 1] * vector[..., 1:]


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Matrices [..., 2, 2] times matrices [..., 2, 2]."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def invert(matrix: Tensor) -> Tensor:
    """Inverses of [..., 2, 2] in closed form; determinants near zero are taken as SMALLEST_DETERMINANT."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    determinant = a * d - b * c
    floor = torch.where(determinant < 0, -SMALLEST_DETERMINANT, SMALLEST_DETERMINANT)
    determinant = torch.where(determinant.abs() < SMALLEST_DETERMINANT, floor, determinant)
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / determinant[..., None, None]


def sparse_motions(source: Keypoints, driving: Keypoints, height: int, width: int) -> Tensor:
    """T_0(z) = z and T_k(z) = p_s,k + J_s,k J_d,k^-1 (z - p_d,k) (Siarohin et al. 2019, eq. 4): [N, K + 1, H, W, 2]."""
    z = grid(height, width, source.value)
    change = multiply(source.jacobian, invert(driving.jacobian))[:, :, None, None]  # [N, K, 1, 1, 2, 2]
    moved = source.value[:, :, None, None] + apply(change, z - driving.value[:, :, None, None])
    return torch.cat([z.expand_as(moved[:, :1]), moved], dim=1)


def gaussians(points: Tensor, height: int, width: int, variance: float) -> Tensor:
    """exp(-|z - p|^2 / (2 variance)) about points [N, K, 2]: [N, K, H, W]."""
    z = grid(height, width, points)
    across = torch.exp(-((z[0, :, 0] - points[..., :1]) ** 2) / (2 * variance))  # [N, K, W]
    down = torch.exp(-((z[:, 0, 1] - points[..., 1:]) ** 2) / (2 * variance))  # [N, K, H]
    return down[..., :, None] * across[..., None, :]


def warp(pictures: Tensor, field: Tensor, align_corners: bool) -> Tensor:
    """Sample pictures [N, C, h, w] at the positions of a field [N, H, W, 2], black outside: [N, C, H, W]."""
    return F.grid_sample(pictures, field.to(pictures.dtype), padding_mode="zeros", align_corners=align_corners)


def resize(maps: Tensor, height: int, width: int) -> Tensor:
    """Resize maps [N, C, h, w] bilinearly, with pixel edges aligned."""
    if maps.shape[2:] == (height, width):
        return maps
    return F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)


def resize_field(field: Tensor, height: int, width: int, align_corners: bool) -> Tensor:
    """Resize a field [N, h, w, 2] to [N, H, W, 2].

    With align_corners an identity field stays an identity; the published generators resize without.
    """
    if field.shape[1:3] == (height, width):
        return field
    maps = field.permute(0, 3, 1, 2).contiguous()  # two channels, last, would be resized in four times the time
    resized = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=align_corners)
    return resized.permute(0, 2, 3, 1)
