"""A head's state, its keypoints, and the motion that two heads define."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.head.pose import rotation_matrix
from latentface.networks.vid2vid.geometry import (
    Head,
    head_motions,
    rotation,
    transform,
    volume_gaussians,
    volume_grid,
    warp_volume,
)
from tests.helpers.talking_heads import heads


def test_rotation_is_that_of_the_head_model_seen_with_y_down() -> None:
    flip = np.diag([1.0, -1.0, 1.0])
    for angles in ((25.0, 0.0, 0.0), (0.0, 15.0, 0.0), (0.0, 0.0, 12.0), (31.0, -14.0, 8.0)):
        found = rotation(torch.tensor([angles]), rigid=True)[0].double().numpy()
        np.testing.assert_allclose(found, flip @ rotation_matrix(*angles) @ flip, atol=1e-6)


def test_published_rotation_is_pitch_yaw_roll() -> None:
    yaw, pitch, roll = np.radians([20.0, 10.0, 5.0])
    c, s = np.cos, np.sin
    nod = np.array([[1, 0, 0], [0, c(pitch), -s(pitch)], [0, s(pitch), c(pitch)]])
    turn = np.array([[c(yaw), 0, s(yaw)], [0, 1, 0], [-s(yaw), 0, c(yaw)]])
    tilt = np.array([[c(roll), -s(roll), 0], [s(roll), c(roll), 0], [0, 0, 1]])
    found = rotation(torch.tensor([[20.0, 10.0, 5.0]]), rigid=False)[0].double().numpy()
    np.testing.assert_allclose(found, nod @ turn @ tilt, atol=1e-6)


def test_keypoints_of_a_rigid_and_a_published_head() -> None:
    head = heads(2)
    turn = rotation(head.angles, True)
    wanted = head.scale[:, :, None] * torch.einsum("nij,nkj->nki", turn, head.canonical + head.deformation)
    torch.testing.assert_close(head.value, wanted + head.translation[:, None])
    loose = heads(2, rigid=False)
    wanted = torch.einsum("nij,nkj->nki", rotation(loose.angles, False), loose.canonical)
    torch.testing.assert_close(loose.value, wanted + loose.translation[:, None] + loose.deformation)
    torch.testing.assert_close(loose.frame, torch.eye(3).expand(2, 3, 3))


def test_motions_take_driving_keypoints_to_those_of_the_source_and_leave_the_background() -> None:
    source, driving = heads(1), heads(1, seed=3)
    motions = head_motions(source, driving, 4, 5, 6)
    assert motions.shape == (1, 5, 4, 5, 6, 3)
    torch.testing.assert_close(motions[0, 0], volume_grid(4, 5, 6, motions))
    # each motion is affine: evaluated at the driving keypoint, it gives the source's
    change = source.frame @ torch.linalg.inv(driving.frame)
    corner, at = torch.full((1, 1, 3), -1.0), motions[0, 1:, 0, 0, 0]
    moved = at + transform(change, driving.value - corner)[0]
    torch.testing.assert_close(moved, source.value[0])


def test_moving_a_volume_by_a_turn_moves_a_point_on_it() -> None:
    """A cell lit at a keypoint of the source lights up at that of the driving frame."""
    source = Head(
        torch.tensor([[[0.0, 0.0, 0.8]]]), torch.zeros(1, 3), torch.ones(1, 1), torch.zeros(1, 3), torch.zeros(1, 1, 3),
        rigid=True,
    )  # fmt: skip
    turned = Head(source.canonical, torch.tensor([[40.0, 0.0, 0.0]]), source.scale, source.translation,
                  source.deformation, rigid=True)  # fmt: skip
    lit = volume_gaussians(source.value, 21, 21, 21, 0.01)
    moved = warp_volume(lit, head_motions(source, turned, 21, 21, 21)[:, 1], align_corners=True)
    wanted = volume_gaussians(turned.value, 21, 21, 21, 0.01)
    assert float((moved - wanted).abs().max()) < 0.12
    assert turned.value[0, 0, 0] > 0.4  # a positive yaw turns the nose to the viewer's right


def test_gaussians() -> None:
    point = torch.tensor([[[0.5, -0.5, 0.0]]])
    cells = volume_grid(3, 4, 5, point)
    wanted = torch.exp(-(cells - point[0, 0]).square().sum(-1) / 0.02)
    torch.testing.assert_close(volume_gaussians(point, 3, 4, 5, 0.01)[0, 0], wanted)


def test_batches() -> None:
    both = heads(3)
    joined = Head.cat([both[:1], both[1:]])
    torch.testing.assert_close(joined.value, both.value)
    assert both[:1].expand(4).value.shape == (4, 4, 3)
    assert both.detach().rigid and heads(1, rigid=False)[:1].rigid is False


@pytest.mark.parametrize("depth", [1, 2])
def test_grid_of_a_thin_volume(depth: int) -> None:
    cells = volume_grid(depth, 2, 2, torch.zeros(1))
    assert cells.shape == (depth, 2, 2, 3)
    assert cells[0, 0, 0].tolist() == [-1, -1, -1 if depth > 1 else 0]
