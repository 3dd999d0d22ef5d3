"""Views of a face, and the error that a network has on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.runtime.calibration import VIEWS, compare, views_of
from latentface.runtime.estimators import HEAD_READER, LANDMARKS, MOTION
from tests.runtime.conftest import Made


def test_views_show_the_square_moved_and_scaled() -> None:
    y, x = np.mgrid[:120, :160]
    photo = np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)
    quad = np.array([[50.0, 30], [50, 90], [110, 90], [110, 30]])
    views = views_of(photo, quad, 30)
    for (right, down, scale), view in zip(VIEWS, views, strict=True):
        middle = view[10:20, 10:20].reshape(-1, 3).mean(0)
        assert middle[:2] == pytest.approx((80 + 60 * right, 60 + 60 * down), abs=0.6)
        step = view[15, 20, 0].astype(float) - view[15, 10, 0]
        assert step == pytest.approx(20 * scale, abs=1.1)


def exact(kind: str, error: float) -> tuple[Tensor, ...]:
    """Estimates of points that are still in the photo, each view with an error of this length."""
    true = torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.5 + 0.25
    views = torch.tensor(VIEWS, dtype=torch.float64)
    seen = (true - 0.5 - views[:, None, :2]) / views[:, None, 2:] + 0.5
    signs = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)[:, None]
    seen[..., 0] += error * signs / views[:, 2:]
    return (seen if kind == LANDMARKS else seen * 2 - 1,)


@pytest.mark.parametrize("kind", [LANDMARKS, MOTION])
def test_the_error_is_the_distance_from_the_mean_of_all_views(kind: str) -> None:
    found = compare(kind, lambda x: exact(kind, 0.0), lambda x: exact(kind, 0.01), [torch.zeros(8, 3, 4, 4)])
    points = exact(LANDMARKS, 0.0)[0][0]
    eyes = float((points[42:48].mean(0) - points[36:42].mean(0)).norm())
    assert found.float32 == pytest.approx(0, abs=1e-9)
    assert found.worse == pytest.approx(1 / eyes if kind == LANDMARKS else 1)


def test_expressions_are_compared_as_they_are() -> None:
    known, found = torch.zeros(8, 5), torch.full((8, 5), 0.02)
    accuracy = compare(HEAD_READER, lambda x: (known,), lambda x: (found,), [torch.zeros(8, 3, 4, 4)])
    assert accuracy.worse == pytest.approx(2.0)


def test_the_built_in_network_agrees_with_itself_on_a_face(made: Made) -> None:
    accuracy = compare(LANDMARKS, made.estimator.network, made.estimator.network, made.inputs[:1])
    assert accuracy.worse == 0 and 0.1 < accuracy.float32 < 2
