"""StyleSpace: which affine maps a row of a latent feeds, and the two halves of a step."""

from __future__ import annotations

import torch

from latentface.fusion.objective import Objective
from latentface.fusion.stylespace import style_readers, useful_halves
from tests.helpers.tiny_networks import latents, tiny_generator, tiny_networks

GENERATOR, NETWORKS = tiny_generator(), tiny_networks()


def test_every_affine_map_is_read_by_one_row() -> None:
    readers = style_readers(GENERATOR)
    affines = [module for name, module in GENERATOR.named_modules() if name.endswith("affine")]
    assert sorted(map(id, (each for row in readers for each in row))) == sorted(map(id, affines))
    with torch.no_grad():
        ws = torch.zeros(1, 8, 16).requires_grad_(True)
    for row, maps in enumerate(readers):
        seen: list[torch.Tensor] = []
        hooks = [each.register_forward_hook(lambda m, i, o: seen.append(i[0])) for each in maps]  # noqa: B023
        with torch.enable_grad():
            GENERATOR.synthesis(ws)
        for hook in hooks:
            hook.remove()
        for each in seen:
            gradient = torch.autograd.grad(each.sum(), ws, retain_graph=True)[0]
            assert gradient[0].sum(1).nonzero().flatten().tolist() == [row]


def test_the_half_of_a_step_moves_only_channels_that_lower_the_costs() -> None:
    identity, expression = latents(GENERATOR, 0)
    objective = Objective(GENERATOR, NETWORKS, identity, expression)
    step = expression.ws - identity.ws
    half = useful_halves(objective, step, 0.6)
    assert half.shape == step.shape and torch.isfinite(half).all()
    middle = objective.ends.mean(0, keepdim=True).requires_grad_(True)
    with torch.enable_grad():
        slope = torch.autograd.grad(objective(middle).total(0.6).sum(), middle)[0][0]
    gains, whole = (slope * half).sum(1), (slope * step).sum(1)
    assert (gains <= 1e-6).all(), "no row's half goes uphill"
    assert (gains <= whole + 1e-6).all(), "each goes down at least as far as the whole step of its row"
    assert float(gains.sum()) < float(whole.sum())


def test_a_step_of_nothing_has_no_useful_half() -> None:
    objective = Objective(GENERATOR, NETWORKS, *latents(GENERATOR, 0))
    assert torch.equal(useful_halves(objective, torch.zeros(8, 16), 0.5), torch.zeros(8, 16))


def test_the_generator_is_left_as_they_were() -> None:
    objective = Objective(GENERATOR, NETWORKS, *latents(GENERATOR, 0))
    before = objective.synthesise(objective.ends)
    useful_halves(objective, torch.ones(8, 16), 0.5)
    assert torch.equal(objective.synthesise(objective.ends), before)
    assert not any(affine._forward_hooks for row in style_readers(GENERATOR) for affine in row)
