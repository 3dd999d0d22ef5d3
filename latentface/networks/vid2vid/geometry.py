"""A head's state, the keypoints in space that follow from it, and the motion of the volume that they define.

Positions are (x, y, z) in [-1, 1]: x to the right, y down, z towards the viewer. Layer, row and column i of n lie at
2i / (n - 1) - 1. Eq. numbers are those of Wang, Mallya and Liu, CVPR 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.networks.motion.geometry import grid


@dataclass(frozen=True, eq=False)
class Head:
    """The state of a head in pictures, of N each.

    Attributes:
        canonical: keypoints of the person, looking ahead without an expression, [N, K, 3].
        angles: yaw, pitch and roll in degrees, [N, 3].
        scale: size of the head against that of the canonical keypoints, [N, 1].
        translation: [N, 3].
        deformation: what the expression adds to the keypoints, [N, K, 3].
        rigid: see `Vid2VidConfig.rigid`.
    """

    canonical: Tensor
    angles: Tensor
    scale: Tensor
    translation: Tensor
    deformation: Tensor
    rigid: bool

    @property
    def frame(self) -> Tensor:
        """The linear part of the head's motion [N, 3, 3]: scale and rotation, or the identity if it is not rigid."""
        if not self.rigid:
            return torch.eye(3, device=self.angles.device).expand(len(self.angles), 3, 3)
        return self.scale[:, :, None] * rotation(self.angles, self.rigid)

    @property
    def value(self) -> Tensor:
        """The keypoints in the picture's space [N, K, 3]: s R (x_c + d) + t, or R x_c + t + d (eq. 1)."""
        turned = rotation(self.angles, self.rigid)
        if self.rigid:
            shaped = (self.canonical + self.deformation) * self.scale[:, :, None]
            return transform(turned, shaped) + self.translation[:, None]
        return transform(turned, self.canonical) + self.translation[:, None] + self.deformation

    def __getitem__(self, item: slice | Tensor) -> Head:
        return self._each(lambda part: part[item])

    def expand(self, count: int) -> Head:
        """The same head for each of `count` frames."""
        return self._each(lambda part: part.expand(count, *part.shape[1:]))

    def detach(self) -> Head:
        """The same head outside the graph of gradients."""
        return self._each(lambda part: part.detach())

    @classmethod
    def cat(cls, heads: Sequence[Head]) -> Head:
        """The heads of several batches in one."""
        names = [field.name for field in fields(cls)[:-1]]
        return cls(**{name: torch.cat([getattr(head, name) for head in heads]) for name in names}, rigid=heads[0].rigid)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Head:
        parts = (self.canonical, self.angles, self.scale, self.translation, self.deformation)
        canonical, angles, scale, translation, deformation = map(change, parts)
        return Head(canonical, angles, scale, translation, deformation, self.rigid)


def transform(matrix: Tensor, points: Tensor) -> Tensor:
    """Matrices [N, 3, 3] times points [N, K, 3], written out because mixed precision would round a matrix product."""
    return (matrix[:, None] * points[:, :, None, :]).sum(-1)


def rotation(angles: Tensor, rigid: bool) -> Tensor:
    """Rotations [N, 3, 3] by yaw, pitch and roll in degrees, [N, 3].

    Rigid heads use the convention of `head.pose` (in y-down axes): roll @ yaw @ pitch, where a positive yaw turns the
    face to the viewer's right and a positive pitch looks down. The published networks use pitch @ yaw @ roll.
    """
    yaw, pitch, roll = torch.deg2rad(angles.float()).unbind(1)
    if rigid:
        return _turn(2, roll) @ _turn(1, yaw) @ _turn(0, -pitch)
    return _turn(0, pitch) @ _turn(1, yaw) @ _turn(2, roll)


def _turn(axis: int, angle: Tensor) -> Tensor:
    """Rotations [N, 3, 3] about an axis by radians [N]."""
    cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: (one, zero, zero, zero, cosine, -sine, zero, sine, cosine),
        1: (cosine, zero, sine, zero, one, zero, -sine, zero, cosine),
        2: (cosine, -sine, zero, sine, cosine, zero, zero, zero, one),
    }[axis]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def volume_grid(depth: int, height: int, width: int, like: Tensor) -> Tensor:
    """The positions of a volume's cells, float32 [D, H, W, 3]."""
    z = torch.linspace(-1, 1, depth, device=like.device) if depth > 1 else torch.zeros(1, device=like.device)
    plane = grid(height, width, like).expand(depth, -1, -1, -1)
    return torch.cat([plane, z[:, None, None, None].expand(depth, height, width, 1)], dim=-1)


def head_motions(source: Head, driving: Head, depth: int, height: int, width: int) -> Tensor:
    """T_0(p) = p and T_k(p) = x_s,k + J (p - x_d,k), with J = frame_s frame_d^-1 (eq. 5): [N, K + 1, D, H, W, 3]."""
    cells = volume_grid(depth, height, width, source.angles).view(1, -1, 3)
    change = source.frame @ torch.linalg.inv(driving.frame)  # [N, 3, 3]
    turned = transform(change, cells.expand(len(change), -1, -1))  # [N, M, 3]
    shift = source.value - transform(change, driving.value)  # [N, K, 3]
    moved = turned[:, None] + shift[:, :, None]
    still = cells[:, None].expand(len(change), 1, -1, -1)
    return torch.cat([still, moved], dim=1).view(len(change), -1, depth, height, width, 3)


def volume_gaussians(points: Tensor, depth: int, height: int, width: int, variance: float) -> Tensor:
    """exp(-|p - x|^2 / (2 variance)) about points [N, K, 3]: [N, K, D, H, W]."""
    cells = volume_grid(depth, height, width, points)
    axes = (cells[0, 0, :, 0], cells[0, :, 0, 1], cells[:, 0, 0, 2])
    x, y, z = (torch.exp(-((axis - points[..., [k]]) ** 2) / (2 * variance)) for k, axis in enumerate(axes))
    return z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]


def warp_volume(volumes: Tensor, field: Tensor, align_corners: bool) -> Tensor:
    """Sample volumes [N, C, d, h, w] at the positions of a field [N, D, H, W, 3], 0 outside: [N, C, D, H, W]."""
    return F.grid_sample(volumes, field.to(volumes.dtype), padding_mode="zeros", align_corners=align_corners)
