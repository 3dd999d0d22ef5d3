"""Iterative distribution transfer: monotone maps along axes that show what a cloud is."""

from __future__ import annotations

import pytest
import torch

from latentface.training.transport import KNOTS, Round, carry, fit, orthogonal, sparse_axes


def test_a_round_moves_by_the_monotone_map_between_the_knots_and_shifts_beyond_them() -> None:
    source, target = torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[10.0, 12.0, 13.0]])
    step = Round(torch.tensor([[1.0], [0.0]]), source, target)
    moved = step(torch.tensor([[0.0, 5.0], [0.5, 6.0], [2.0, 7.0], [-4.0, 8.0], [9.0, 9.0]]))
    torch.testing.assert_close(moved, torch.tensor([[10.0, 5.0], [11.0, 6.0], [12.5, 7.0], [6.0, 8.0], [19.0, 9.0]]))


def test_one_axis_takes_one_round() -> None:
    random = torch.Generator().manual_seed(0)
    points, goal = torch.randn(5000, 1, generator=random), torch.rand(7000, 1, generator=random) ** 3
    (only,) = fit(points, goal, lambda k: torch.ones(1, 1), rounds=1)
    fresh = carry(torch.randn(5000, 1, generator=random), [only])
    for share in (0.1, 0.5, 0.9):
        assert float(fresh.quantile(share)) == pytest.approx(share**3, abs=0.02)
    assert only.source.shape == only.target.shape == (1, KNOTS)


def test_axes_are_orthonormal_and_the_first_mixes_few_directions() -> None:
    random = torch.Generator().manual_seed(0)
    axes = sparse_axes(torch.eye(16), 6, random)
    torch.testing.assert_close(axes.T @ axes, torch.eye(6), atol=1e-5, rtol=0)
    assert 1 <= int((axes[:, 0].abs() > 1e-6).sum()) <= 4


def test_points_that_lie_as_the_goal_does_stay_where_they_are() -> None:
    points = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    rounds = fit(points, points, lambda k: torch.eye(3), rounds=2)
    torch.testing.assert_close(carry(points, rounds), points, atol=1e-4, rtol=0)


def test_orthogonal_axes_span_the_same_and_keep_the_first() -> None:
    axes = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    basis = orthogonal(axes)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(basis @ (basis.T @ axes), axes, atol=1e-5, rtol=0)
    assert float((basis[:, 0] @ axes[:, 0]).abs() / axes[:, 0].norm()) > 0.9999
