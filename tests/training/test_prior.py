"""The mapping fitted to a cloud of codes in closed form."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentface.networks.generator import Generator
from latentface.networks.layers import SQRT2, EqualLinear
from latentface.training.prior import Whitening, fit_mapping, move_codes, set_layer
from tests.helpers.tiny_pairs import TINY


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_fit_mapping_draws_from_the_gaussian_of_the_codes_and_keeps_their_pictures() -> None:
    random = torch.Generator().manual_seed(1)
    config = replace(TINY, z_dim=48, w_dim=40)
    mix = 0.3 * torch.randn(40, 40, generator=random)
    cloud = torch.randn(4000, 40, generator=random) @ mix + torch.randn(40, generator=random)
    generator = Generator(config)
    before = generator.synthesis(cloud[:4, None].expand(-1, config.num_ws, -1), noise_mode="none")
    fit_mapping(generator, cloud)
    raised = generator.mapping.w_avg - cloud.mean(0)
    after = generator.synthesis((cloud[:4] + raised)[:, None].expand(-1, config.num_ws, -1), noise_mode="none")
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    drawn = generator.mapping(torch.randn(20_000, config.z_dim, generator=random))[:, 0] - raised
    assert (drawn.mean(0) - cloud.mean(0)).abs().max() < 0.05 * cloud.std(0).max()
    gap = (torch.cov(drawn.T) - torch.cov(cloud.T)).norm() / torch.cov(cloud.T).norm()
    assert gap < 0.1
    with pytest.raises(ValueError, match="span"):
        fit_mapping(generator, cloud[:30])


def test_white_points_have_unit_covariance() -> None:
    codes = 30 + torch.randn(3000, 8, generator=seeded(1)) @ (
        torch.eye(8) + 0.4 * torch.randn(8, 8, generator=seeded(2))
    )
    whitening = Whitening.of(codes)
    white = whitening.points(codes)
    torch.testing.assert_close(torch.cov(white.T), torch.eye(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        white * whitening.deviations @ whitening.axes.T + whitening.mean, codes, atol=1e-3, rtol=0
    )


def test_a_layer_that_is_set_computes_what_it_was_given() -> None:
    layer = EqualLinear(5, 3, lr_multiplier=0.01, activation="lrelu")
    weight, bias, x = (torch.randn(*shape, generator=seeded(k)) for k, shape in enumerate(((3, 5), (3,), (4, 5))))
    set_layer(layer, weight, bias)
    y = x @ weight.T + bias
    torch.testing.assert_close(layer(x), torch.where(y > 0, y, 0.2 * y) * SQRT2, atol=1e-5, rtol=1e-5)


def test_moved_codes_keep_their_pictures() -> None:
    generator = Generator(TINY).requires_grad_(False)
    ws, by = torch.randn(2, TINY.num_ws, 8, generator=seeded()), torch.linspace(-2, 2, 8)
    before = generator.synthesis(ws, noise_mode="none")
    move_codes(generator, by)
    torch.testing.assert_close(generator.synthesis(ws + by, noise_mode="none"), before, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(generator.synthesis(ws, noise_mode="none"), before, atol=1e-2)
