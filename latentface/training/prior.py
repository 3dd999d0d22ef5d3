"""Fitting the mapping network to a cloud of codes, so that sampled z draw what the codes draw."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from latentface.networks.generator import Generator, normalise


def fit_mapping(generator: Generator, codes: torch.Tensor, steps: int = 4000, batch: int = 512, seed: int = 0) -> float:
    """Train `generator.mapping` in place so that mapped z are distributed as codes [n, w_dim]; sets w_avg.

    First by regression on the Gaussian of the codes (mean and principal axes: mapping(z) = mean + A z), which orders z
    sensibly; then the sliced Wasserstein distance (Bonneel et al. 2015) along principal and random axes bends it to
    what is not Gaussian in the cloud. Returns the final mean sliced distance in units of the codes' spread.
    """
    random = torch.Generator().manual_seed(seed)
    mapping, config = generator.mapping, generator.config
    mean = codes.mean(0)
    axes, scales, _ = torch.linalg.svd(((codes - mean) / len(codes) ** 0.5).T, full_matrices=False)
    transform = (axes * scales)[:, : config.z_dim]  # [w_dim, rank]: codes ~ mean + transform @ normal
    with torch.no_grad():
        mapping.w_avg.copy_(mean)
    parameters = [p.requires_grad_(True) for p in mapping.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-3, betas=(0.9, 0.99))
    distance = torch.zeros(())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        z = torch.randn(batch, config.z_dim, generator=random)
        w = mapping(z)[:, 0]
        target = mean + normalise(z)[:, : transform.shape[1]] @ transform.T
        regression = F.mse_loss((w - target) @ axes, torch.zeros_like(w)) / scales.square().mean()
        chosen = codes[torch.randint(len(codes), (batch,), generator=random)]
        distance = sliced_distance((w - mean) @ axes / scales, (chosen - mean) @ axes / scales, random)
        bend = min(1.0, max(0.0, 2 * step / steps - 0.5))
        loss = (1 - 0.9 * bend) * regression + bend * distance
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
    return float(distance.detach().sqrt())


def sliced_distance(a: torch.Tensor, b: torch.Tensor, random: torch.Generator, slices: int = 128) -> torch.Tensor:
    """Squared sliced 2-Wasserstein distance of two clouds [n, d], along their own axes and random directions."""
    directions = torch.randn(a.shape[1], slices, generator=random)
    directions = directions / directions.norm(dim=0)
    ours = torch.cat([a, a @ directions], 1).sort(0).values
    theirs = torch.cat([b, b @ directions], 1).sort(0).values
    return (ours - theirs).square().mean()
