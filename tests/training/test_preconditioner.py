"""The recipe of a preconditioner: it measures the curvature of the projector's loss."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.options.projection import ProjectOptions
from latentface.training import preconditioner as recipe


@pytest.fixture(scope="module")
def tiny() -> tuple[Generator, PerceptualNet]:
    config = GeneratorConfig(
        resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8, lr_multiplier=1.0
    )
    torch.manual_seed(0)
    distance = PerceptualNet(PerceptualConfig(widths=(4, 8, 8), depths=(1, 1, 1)))
    return Generator(config, seed=1).eval(), distance.eval()


def test_the_recipe_measures_the_curvature_of_the_projectors_loss(tiny: tuple[Generator, PerceptualNet]) -> None:
    """Of the loss against the picture itself the Hessian is the Gauss-Newton matrix: v^T H v = E (2 (g, v)^2)."""
    from latentface.inversion.search import Comparison

    generator, distance = tiny
    random = torch.Generator().manual_seed(0)
    ws = recipe.latents(generator, 1, random).double()
    exact = generator.double(), distance.double()
    direction = torch.randn(ws.shape, generator=random).double()
    with torch.no_grad():
        comparison = Comparison(exact[0].synthesis(ws), exact[1], ProjectOptions(precision="float32"))
        step = 1e-3 * direction
        around = sum(float(comparison.loss(exact[0].synthesis(ws + sign * step))) for sign in (-1, 1))
    many = ws.expand(1500, -1, -1)
    found = torch.cat([recipe.gradients(*exact, part, random) for part in many.split(500)])
    estimate = 2 * (found * direction).sum(dim=(1, 2)).square().mean()
    generator.float(), distance.float()
    assert float(estimate) == pytest.approx(around / 1e-6, rel=0.1)
