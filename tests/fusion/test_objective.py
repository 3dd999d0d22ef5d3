"""What a choice costs: nothing at its own end, one at the other, and drawn by the networks that it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentface.fusion.objective import Objective
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator, GeneratorConfig
from tests.helpers.stand_in_networks import stand_in_networks

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=1, channel_base=128, channel_max=8)


@pytest.fixture
def generator() -> Generator:
    return Generator(CONFIG, seed=1).eval().requires_grad_(False)


@pytest.fixture
def tuned() -> Generator:
    return Generator(CONFIG, seed=2).eval().requires_grad_(False)


def latent(generator: Generator, seed: int) -> Latent:
    ws = torch.randn(CONFIG.num_ws, CONFIG.w_dim, generator=torch.Generator().manual_seed(seed))
    return Latent(ws, generator.fingerprint)


def test_costs_at_both_ends(generator: Generator) -> None:
    objective = Objective(generator, stand_in_networks(), latent(generator, 1), latent(generator, 2))
    costs = objective.measure(objective.ends)
    torch.testing.assert_close(costs.appearance, torch.tensor([0.0, 1.0]), rtol=0, atol=1e-4)
    torch.testing.assert_close(costs.expression, torch.tensor([1.0, 0.0]), rtol=0, atol=1e-4)
    torch.testing.assert_close(costs.total(0.25), torch.tensor([0.25, 0.75]), rtol=0, atol=1e-4)


def test_the_expression_is_that_of_the_network_that_draws_it(generator: Generator, tuned: Generator) -> None:
    identity, expression = latent(generator, 1), latent(generator, 2)
    alone = Objective(generator, stand_in_networks(), identity, expression)
    both = Objective(generator, stand_in_networks(), identity, expression, tuned)
    shown = Objective(tuned, stand_in_networks(), identity, expression)
    torch.testing.assert_close(both.measures, shown.measures, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both.emotion, shown.emotion, rtol=1e-5, atol=1e-5)
    assert float((both.measures - alone.measures).abs().max()) > 0.1
    assert torch.equal(both.embedding, alone.embedding), "the identity is drawn as before"
    assert torch.equal(both.synthesise(both.ends), alone.synthesise(alone.ends)), "and so is all that is tried"
    costs = both.measure(both.ends)
    assert float(costs.appearance[0]) == pytest.approx(0, abs=1e-4)
    assert float(costs.expression[0]) == pytest.approx(1, abs=1e-4)
    assert float(costs.expression[1]) > 0.01


def test_the_noise_maps_are_the_identity_s(generator: Generator) -> None:
    for layer in generator.synthesis.noise_layers():
        layer.noise_strength.fill_(0.3)
    zeros = tuple(torch.zeros(shape) for shape in generator.synthesis.noise_shapes())
    identity, expression = latent(generator, 1), latent(generator, 2)
    quiet = Objective(generator, stand_in_networks(), replace(identity, noise=zeros), expression)
    loud = Objective(generator, stand_in_networks(), identity, replace(expression, noise=zeros))
    assert torch.equal(quiet.synthesise(quiet.ends), generator.synthesis(quiet.ends, noise_mode="none").clamp(-1, 1))
    assert torch.equal(loud.synthesise(loud.ends), generator.synthesis(loud.ends).clamp(-1, 1))


def test_costs_are_the_same_one_by_one_and_have_a_slope(generator: Generator) -> None:
    objective = Objective(generator, stand_in_networks(), latent(generator, 1), latent(generator, 2))
    way = torch.linspace(0, 1, 19)[:, None, None]
    ws = torch.lerp(objective.ends[:1], objective.ends[1:], way)
    together = objective.measure(ws)
    for k in (0, 7, 8, 18):
        torch.testing.assert_close(together.total(0.5)[k], objective.measure(ws[k : k + 1]).total(0.5)[0])
    middle = ws[9:10].clone().requires_grad_()
    objective(middle).total(0.5).sum().backward()
    assert middle.grad is not None and float(middle.grad.abs().max()) > 0
