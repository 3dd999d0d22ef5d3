"""Tiny generators to project into, and how near two projections of their pictures are."""

from __future__ import annotations

import math

import numpy as np
import torch

from latentface.inversion.projector import Projection
from latentface.io.images import to_uint8
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.options.projection import ProjectOptions

CONFIG = GeneratorConfig(
    resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8, lr_multiplier=1.0
)
QUICK = ProjectOptions(steps=6, learning_rate=0.05, optimise_noise=True, precision="float32")


def make_generator(config: GeneratorConfig = CONFIG) -> Generator:
    """A network whose noise shows and whose pictures stay inside [-1, 1]."""
    generator = Generator(config, seed=1)
    with torch.no_grad():
        for layer in generator.synthesis.noise_layers():
            layer.noise_strength.fill_(0.05)
        for name, parameter in generator.named_parameters():
            if "torgb.weight" in name:  # stay inside [-1, 1], so that a drawn picture survives as bytes
                parameter.mul_(0.15)
    return generator


def make_distance() -> PerceptualNet:
    """A perceptual network of few, random channels."""
    torch.manual_seed(0)
    return PerceptualNet(PerceptualConfig(widths=(4, 8, 8), depths=(1, 1, 1)))


def generate_pictures(generator: Generator, seeds: tuple[int, ...] = (5, 6)) -> np.ndarray:
    """uint8 pictures [N, R, R, 3] that the generator itself makes."""
    z = torch.cat([torch.randn(1, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    with torch.no_grad():
        return to_uint8(generator.synthesis(generator.mapping(z)))


def peak(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures, in dB."""
    return 10 * math.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def same(a: Projection, b: Projection, tolerance: float = 0.0) -> bool:
    """Whether two projections agree in every number of their latents and noise maps."""
    pairs = [(a.latent.ws, b.latent.ws), *zip(a.latent.noise or (), b.latent.noise or (), strict=True)]
    return all(torch.allclose(x, y, rtol=0, atol=tolerance) for x, y in pairs)
