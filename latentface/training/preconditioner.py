"""The recipe of a preconditioner: `python -m latentface.training.preconditioner --generator NAME_OR_FILE --out FILE`.

It needs no pictures: latents are the generator's own, mixed between rows and moved off as a search moves them. At each
one product of the transposed Jacobian of pixels and perceptual features with white noise (Hutchinson's estimator).
The file serves `latentface project --preconditioner FILE`, with any StyleGAN2 network that `--generator` reads.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from latentface import api, pretrained
from latentface.inversion.search import PIXEL_LEVELS, measure_w, pyramid, shrink, synthesise
from latentface.latents.preconditioner import Preconditioner
from latentface.networks.generator import Generator
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.precision import is_rough
from latentface.options.projection import ProjectOptions
from latentface.pretrained.native import write_network

DIRECTIONS, SAMPLES, BATCH = 128, 3000, 8
APART = 1.5  # how far off latents are, in deviations of w: up to that, uniformly


def latents(generator: Generator, count: int, random: torch.Generator) -> Tensor:
    """Latents ws [count, num_ws, w_dim]: rows between two w, and noise on all."""
    config, std = generator.config, measure_w(generator).std / math.sqrt(generator.config.w_dim)
    with torch.no_grad():
        w = generator.mapping(torch.randn(2 * count, config.z_dim, generator=random))
        parts = torch.rand(count, 1, 1, generator=random) * torch.rand(count, config.num_ws, 1, generator=random)
        ws = torch.lerp(w[:count], w[count:], parts)
        far = APART * std * torch.rand(count, 1, 1, generator=random)
        return ws + far * torch.randn(ws.shape, generator=random)


def gradients(generator: Generator, distance: FeatureDistance, ws: Tensor, random: torch.Generator) -> Tensor:
    """J^T v for latents ws [N, num_ws, w_dim] and white noise v: [N, num_ws, w_dim].

    J is of all that the projector's default loss squares, each weighted by the root of its weight there.
    """
    options, ws = ProjectOptions(), ws.clone().requires_grad_(True)
    images = shrink(synthesise(generator.synthesis, ws, None, is_rough(options.precision, ws.device)))

    def noisy(values: Tensor) -> Tensor:
        return values * torch.randn(values.shape, generator=random) / math.sqrt(values[0, 0].numel())

    levels = pyramid(images)
    total = sum((noisy(each).sum() for each in levels), torch.zeros(()))
    total = total * math.sqrt(options.pixel_weight / (PIXEL_LEVELS * images.shape[1]))
    for features, weights in zip(distance.unit_features(images), distance.channel_weights(), strict=True):
        by_channel = noisy(features).sum(dim=(0, 2, 3))
        root = torch.ones(()) if weights is None else weights.sqrt()
        total = total + math.sqrt(options.perceptual_weight) * (by_channel * root).sum()
    return torch.autograd.grad(total, ws)[0]


def fit(generator: Generator, distance: FeatureDistance, samples: int, directions: int, seed: int) -> Preconditioner:
    """The preconditioner of the projector's default loss on this generator."""
    random = torch.Generator().manual_seed(seed)
    ws = latents(generator, samples, random)
    found = []
    for part in torch.split(ws, BATCH):
        found.append(gradients(generator, distance, part, random))
        print(f"\r{BATCH * len(found)} of {samples}", end="", flush=True)
    print()
    with torch.no_grad():
        w = generator.mapping(torch.randn(4000, generator.config.z_dim, generator=random))[:, 0]
    return Preconditioner.fit(torch.cat(found), w.std(dim=0), directions, generator.fingerprint)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", default="synthface-128", help="built-in name or file")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--directions", type=int, default=DIRECTIONS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    generator = api.load_generator(given.generator).requires_grad_(False)
    distance = pretrained.load_perceptual().requires_grad_(False)
    found = fit(generator, distance, given.samples, given.directions, given.seed)
    state = {"directions": found.directions, "shares": found.shares, "deviations": found.deviations}
    write_network(given.out, "preconditioner", {"fingerprint": found.fingerprint}, state)
    print(f"{given.out}: steps along its directions are {found.shares.min():.3f} to {found.shares.max():.3f} long")


if __name__ == "__main__":
    main()
