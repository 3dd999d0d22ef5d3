"""StyleSpace (Wu et al. 2021): splits a step in W+ into useful style channels and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from latentface.fusion.objective import Objective
    from latentface.networks.generator import Generator

_RIDGE = 1e-3  # ridge of the inverse map from styles to w, relative to the mean squared singular value


def useful_halves(objective: Objective, step: Tensor, weight: float) -> Tensor:
    """For each row the part of its step [num_ws, w_dim] that moves only the useful style channels.

    Styles are affine in w: a step in w moves the channels by A step. The inverse is a ridge regression through all
    affine maps that the row feeds.
    """
    readers = style_readers(objective.generator)
    gradients = _style_gradients(objective, [affine for affines in readers for affine in affines], weight)
    halves = torch.zeros_like(step)
    for row, affines in enumerate(readers):
        matrix = torch.cat([_matrix(affine) for affine in affines]).double()  # [C, w_dim]
        moved = matrix @ step[row].double()
        slope = torch.cat([gradients[affine] for affine in affines]).double()
        wanted = torch.where(slope * moved < 0, moved, torch.zeros_like(moved))
        gram = matrix.T @ matrix
        ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        halves[row] = torch.linalg.solve(gram + ridge, matrix.T @ wanted).to(step)
    return halves


def style_readers(generator: Generator) -> list[list[nn.Module]]:
    """The affine maps from w to styles that each row of a latent feeds, in row order."""
    readers: list[list[nn.Module]] = [[] for _ in range(generator.config.num_ws)]
    at = 0
    for resolution in generator.config.resolutions:
        block = generator.synthesis.get_submodule(f"b{resolution}")
        convolutions = [name for name in ("conv0", "conv1") if hasattr(block, name)]
        for k, name in enumerate(convolutions):
            readers[at + k].append(block.get_submodule(name).get_submodule("affine"))
        if getattr(block, "torgb", None) is not None:
            readers[at + len(convolutions)].append(block.get_submodule("torgb.affine"))
        at += len(convolutions)
    return readers


def _style_gradients(objective: Objective, affines: list[nn.Module], weight: float) -> dict[nn.Module, Tensor]:
    """The gradient of the objective by each affine map's styles [C], half-way between the latents.

    There both costs have a slope; at the latents themselves one of them is at its minimum.
    """
    styles: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        styles[module] = output.detach().requires_grad_(True)
        return styles[module]

    hooks = [affine.register_forward_hook(keep) for affine in affines]
    try:
        with torch.enable_grad():
            cost = objective(objective.ends.mean(0, keepdim=True)).total(weight).sum()
            found = torch.autograd.grad(cost, [styles[affine] for affine in affines])
    finally:
        for hook in hooks:
            hook.remove()
    return {affine: gradient[0] for affine, gradient in zip(affines, found, strict=True)}


def _matrix(affine: nn.Module) -> Tensor:
    """The linear part of an affine map, [C, w_dim], whatever gains it applies to its weights."""
    with torch.no_grad():
        width = affine.get_parameter("weight").shape[1]
        origin = torch.zeros(1, width, device=affine.get_parameter("weight").device)
        unit: Tensor = affine(torch.eye(width, device=origin.device)) - affine(origin)
        return unit.T
