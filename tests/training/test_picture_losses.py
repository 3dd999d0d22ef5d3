"""How synthesised pictures are compared with renders: texture, and the views that are shown."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from latentface.training.picture_losses import clutter, compare_pictures, perceptual_and_texture, texture, views
from tests.helpers.tiny_pairs import PixelDistance


def test_texture_is_the_deviation_within_a_place_wherever_its_cells_lie() -> None:
    rough = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(0, 5, 32).expand_as(rough)
    assert float(texture((rough,), (rough,))) == 0
    assert float(texture((rough.flip(3),), (rough,))) < 0.15  # other strands, as many of them
    half = float(texture((rough / 2,), (rough,)))
    assert half == pytest.approx(0.5, abs=0.01)  # in parts of what is there
    assert float(texture((torch.zeros_like(rough),), (rough,))) == pytest.approx(1, abs=0.02)
    assert float(texture((rough + 3,), (rough,))) < 1e-3  # what a place's mean is, others ask
    truth = ramp + rough
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1).requires_grad_(True)
    before = texture((blurred,), (truth,))
    (slope,) = torch.autograd.grad(before, blurred)
    with torch.no_grad():
        assert float(texture((blurred - 100 * slope,), (truth,))) < float(before.detach())


def test_the_distance_is_shown_the_face_and_at_most_64_pixels() -> None:
    order = np.random.default_rng(0)
    for resolution, count in ((32, 1), (64, 2), (128, 3)):
        shown = [view(torch.zeros(1, 3, resolution, resolution)) for view in views(resolution, order)]
        assert len(shown) == count and all(32 <= x.shape[-1] <= 64 for x in shown)


def test_a_perfect_picture_costs_nothing_and_a_wrong_one_by_its_pixels() -> None:
    truth = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    weights = torch.ones(2, 1, 32, 32)
    compare = functools.partial(perceptual_and_texture, PixelDistance())

    def terms(drawn: torch.Tensor, weights: torch.Tensor = weights) -> list[float]:
        parts = compare_pictures(drawn, truth, weights, compare, np.random.default_rng(0))
        return [float(part) for part in parts]

    assert terms(truth) == [0.0, 0.0, 0.0]
    pixel, perceptual, texture_term = terms(truth + 0.25)
    assert pixel == pytest.approx(0.25 + 0.25)  # each pixel, and each mean of 4 x 4
    assert perceptual == pytest.approx(0.25) and texture_term < 1e-3
    assert terms(truth + 0.25, 3 * weights)[0] == pytest.approx(0.75 + 0.25)


class Doubled(PixelDistance):
    """Features that are computed, so that a gradient could flow through them."""

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (2 * images,)


def test_the_truth_gets_no_gradient() -> None:
    drawn, truth = (torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    drawn.requires_grad_(), truth.requires_grad_()
    perceptual_and_texture(Doubled(), drawn, truth).sum().backward()
    assert drawn.grad is not None and truth.grad is None


def test_a_pattern_costs_where_the_original_is_plain() -> None:
    rows = torch.arange(32)
    stripes = 0.3 * (1 - 2 * (rows % 4 // 2)).float().expand(1, 3, 32, 32)
    plain = torch.zeros(1, 3, 32, 32)
    assert clutter(stripes, plain) > 0.2  # of which 0.02 is free
    assert clutter(plain + 0.5, plain) == 0  # another colour is no pattern
    assert clutter(1.4 * stripes, stripes) == 0 and clutter(plain, stripes) == 0
    left = torch.where(rows < 16, stripes, plain)
    assert clutter(left, plain) < 0.6 * clutter(stripes, plain)
