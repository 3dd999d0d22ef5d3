"""What a spliced latent costs: its ends, its masks, its noise and its gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentface.errors import UsageError
from latentface.fusion.objective import Costs, Objective
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator, GeneratorConfig
from tests.helpers.stand_in_networks import stand_in_networks
from tests.helpers.tiny_networks import latents, tiny_generator, tiny_networks

GENERATOR, NETWORKS = tiny_generator(), tiny_networks()
SMALL = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=1, channel_base=128, channel_max=8)


def random_latent(generator: Generator, seed: int) -> Latent:
    ws = torch.randn(SMALL.num_ws, SMALL.w_dim, generator=torch.Generator().manual_seed(seed))
    return Latent(ws, generator.fingerprint)


def test_costs_are_zero_and_one_at_the_ends() -> None:
    identity, expression = latents(GENERATOR, 1)
    objective = Objective(GENERATOR, NETWORKS, identity, expression)
    costs = objective.measure(torch.stack([identity.ws, expression.ws]))
    assert costs.appearance.tolist() == pytest.approx([0, 1], abs=1e-4)
    assert costs.expression.tolist() == pytest.approx([1, 0], abs=1e-4)


def test_appearance_is_blind_to_eyes_and_mouth_in_its_perceptual_part() -> None:
    identity, expression = latents(GENERATOR, 1)
    objective = Objective(GENERATOR, NETWORKS, identity, expression)
    changed = torch.where(objective.still > 0, objective.picture, -objective.picture)
    assert 0 < float(objective.still.mean()) < 1
    (_, perceptual), _ = objective._parts(changed)
    assert float(perceptual) == pytest.approx(0, abs=1e-6)


def test_the_total_weighs_expression_against_appearance() -> None:
    costs = Costs(torch.tensor([0.2, 1.0]), torch.tensor([0.6, 0.0]))
    assert torch.allclose(costs.total(0.25), torch.tensor([0.3, 0.75]))
    assert torch.equal(costs.total(0.0), costs.appearance)
    assert torch.equal(costs.total(1.0), costs.expression)


def test_measuring_in_batches_changes_nothing() -> None:
    identity, expression = latents(GENERATOR, 1)
    objective = Objective(GENERATOR, NETWORKS, identity, expression)
    shares = torch.linspace(0, 1, 11)[:, None, None]  # more than one batch of 8
    ws = identity.ws + shares * (expression.ws - identity.ws)
    measured = objective.measure(ws)
    assert measured.appearance.shape == measured.expression.shape == (11,)
    assert not measured.appearance.requires_grad
    for index in (0, 7, 10):
        single = objective(ws[index : index + 1])
        assert float(single.appearance) == pytest.approx(float(measured.appearance[index]), abs=1e-5)
        assert float(single.expression) == pytest.approx(float(measured.expression[index]), abs=1e-5)


def test_costs_have_gradients() -> None:
    objective = Objective(GENERATOR, NETWORKS, *latents(GENERATOR, 1))
    ws = objective.ends.mean(0, keepdim=True).requires_grad_(True)
    costs = objective(ws)
    for cost in (costs.appearance, costs.expression):
        gradient = torch.autograd.grad(cost.sum(), ws, retain_graph=True)[0]
        assert torch.isfinite(gradient).all() and float(gradient.abs().max()) > 0


def test_equal_faces_cost_nothing_and_divide_by_no_zero() -> None:
    identity, _ = latents(GENERATOR, 1)
    costs = Objective(GENERATOR, NETWORKS, identity, identity).measure(identity.ws[None])
    assert float(costs.appearance) == pytest.approx(0, abs=1e-3)
    assert float(costs.expression) == pytest.approx(0, abs=1e-3)


def test_pictures_are_drawn_with_the_identitys_noise() -> None:
    generator = tiny_generator()
    with torch.no_grad():
        for layer in generator.synthesis.noise_layers():
            layer.noise_strength.fill_(0.5)
    identity, expression = latents(generator, 1)
    source = torch.Generator().manual_seed(0)
    noise = tuple(torch.randn(shape, generator=source) for shape in generator.synthesis.noise_shapes())
    objective = Objective(generator, NETWORKS, replace(identity, noise=noise), expression)
    ws = identity.ws[None]
    wanted = generator.synthesis(ws, noise_mode="const", noise=noise).clamp(-1, 1)
    assert torch.equal(objective.synthesise(ws), wanted)
    assert torch.allclose(objective.picture, wanted, atol=1e-5)
    assert not torch.allclose(Objective(generator, NETWORKS, identity, expression).synthesise(ws), wanted, atol=1e-2)


def test_the_expression_is_that_of_the_network_that_synthesises_it() -> None:
    generator, tuned = (Generator(SMALL, seed=seed).eval().requires_grad_(False) for seed in (1, 2))
    identity, expression = random_latent(generator, 1), random_latent(generator, 2)
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


def test_the_noise_maps_are_the_identity_s() -> None:
    generator = Generator(SMALL, seed=1).eval().requires_grad_(False)
    for layer in generator.synthesis.noise_layers():
        layer.noise_strength.fill_(0.3)
    zeros = tuple(torch.zeros(shape) for shape in generator.synthesis.noise_shapes())
    identity, expression = random_latent(generator, 1), random_latent(generator, 2)
    quiet = Objective(generator, stand_in_networks(), replace(identity, noise=zeros), expression)
    loud = Objective(generator, stand_in_networks(), identity, replace(expression, noise=zeros))
    assert torch.equal(quiet.synthesise(quiet.ends), generator.synthesis(quiet.ends, noise_mode="none").clamp(-1, 1))
    assert torch.equal(loud.synthesise(loud.ends), generator.synthesis(loud.ends).clamp(-1, 1))


def test_the_expression_is_compared_with_its_photo_where_there_is_one() -> None:
    identity, expression = latents(GENERATOR, 1)
    drawn = Objective(GENERATOR, NETWORKS, identity, expression)
    own, other = drawn.synthesise(drawn.ends)[:, None]
    same = Objective(GENERATOR, NETWORKS, identity, expression, shown=other)
    assert float(same.measure(expression.ws[None]).expression) == pytest.approx(0, abs=1e-4)
    mirrored = Objective(GENERATOR, NETWORKS, identity, expression, shown=other.flip(3))
    assert float(mirrored.measure(expression.ws[None]).expression) > 0.01
    assert torch.equal(mirrored.measure(identity.ws[None]).appearance, drawn.measure(identity.ws[None]).appearance)
    with pytest.raises(UsageError, match="expression's crop"):
        Objective(GENERATOR, NETWORKS, identity, expression, shown=own[..., :8])
