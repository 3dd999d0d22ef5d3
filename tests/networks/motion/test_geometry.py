"""Keypoints and the plane: grids, warps, sparse motions, inverses and Gaussians."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.motion import Keypoints
from latentface.networks.motion.geometry import (
    apply,
    gaussians,
    grid,
    invert,
    multiply,
    resize,
    resize_field,
    sparse_motions,
    warp,
)
from tests.helpers.tiny_motion import keypoints


def test_an_identity_field_gives_the_picture_back() -> None:
    pictures = torch.rand(1, 3, 33, 17, generator=torch.Generator().manual_seed(0))  # a grid of exact binary fractions
    assert float((warp(pictures, grid(33, 17, pictures)[None], True) - pictures).abs().max()) < 1e-6
    assert float((warp(pictures, grid(33, 17, pictures)[None], False) - pictures).abs().max()) > 1e-3


def test_equal_keypoints_move_nothing() -> None:
    points = keypoints(0)
    motions = sparse_motions(points, points, 9, 7)
    assert motions.shape == (2, 6, 9, 7, 2)
    assert torch.allclose(motions, grid(9, 7, points.value).expand_as(motions), atol=1e-5)


def test_a_sparse_motion_is_its_formula() -> None:
    source, driving = keypoints(1), keypoints(2)
    motions = sparse_motions(source, driving, 9, 7)
    z = grid(9, 7, source.value)[3, 5]
    change = source.jacobian[1, 2] @ torch.linalg.inv(driving.jacobian[1, 2])
    assert torch.allclose(motions[1, 3, 3, 5], source.value[1, 2] + change @ (z - driving.value[1, 2]), atol=1e-5)


def test_inverse_in_closed_form_and_its_guard() -> None:
    matrices = keypoints(3).jacobian
    assert torch.allclose(multiply(invert(matrices), matrices), torch.eye(2).expand_as(matrices), atol=1e-4)
    assert bool(torch.isfinite(invert(torch.zeros(1, 2, 2))).all())


def test_a_gaussian_peaks_at_its_point() -> None:
    heat = gaussians(torch.tensor([[[-0.5, 0.25]]]), 17, 17, 0.01)[0, 0]
    peak = divmod(int(heat.argmax()), 17)
    assert peak == (10, 4)
    assert float(heat.max()) == pytest.approx(1.0)


def test_a_grid_of_one_pixel_lies_in_the_middle() -> None:
    assert torch.equal(grid(1, 3, torch.zeros(1))[0], torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]))


def test_products_are_those_of_matrices() -> None:
    a, b = keypoints(4).jacobian, keypoints(5).jacobian
    assert torch.allclose(multiply(a, b), a @ b, atol=1e-6)
    vectors = keypoints(6).value
    assert torch.allclose(apply(a, vectors), (a @ vectors[..., None])[..., 0], atol=1e-6)


def test_keypoints_are_cut_and_repeated_by_frames() -> None:
    points = keypoints(0, count=3)
    assert torch.equal(points[1:2].value, points.value[1:2]) and torch.equal(points[1:2].jacobian, points.jacobian[1:2])
    repeated = points[:1].expand(4)
    assert repeated.value.shape == (4, 5, 2) and torch.equal(repeated.jacobian[3], points.jacobian[0])
    learnt = Keypoints(points.value.requires_grad_(), points.jacobian)
    assert learnt.value.requires_grad and not learnt.detach().value.requires_grad


def test_a_resized_identity_field_stays_one_with_aligned_corners_alone() -> None:
    small, large = grid(8, 8, torch.zeros(1))[None], grid(32, 32, torch.zeros(1))[None]
    assert torch.allclose(resize_field(small, 32, 32, True), large, atol=1e-6)
    assert float((resize_field(small, 32, 32, False) - large).abs().max()) > 0.05
    assert resize_field(small, 8, 8, True) is small and resize(small, 8, 2) is small


def test_inverse_jacobians_survive_a_training_step() -> None:
    flat = torch.zeros(1, 1, 2, 2, requires_grad=True)
    invert(flat).sum().backward()
    assert flat.grad is not None
    assert bool(torch.isfinite(flat.grad).all())
