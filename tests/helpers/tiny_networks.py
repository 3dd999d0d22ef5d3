"""Stand-ins for the networks that look at faces: small random maps of a picture, smooth, and different in each part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.fusion.objective import FaceNetworks
from latentface.latents.latent import Latent
from latentface.networks.config import GeneratorConfig
from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from tests.helpers.faces import face_points


def tiny_generator(seed: int = 0, resolution: int = 32) -> Generator:
    """A random network with 2 log2(R) - 2 rows whose pictures differ well between latents."""
    config = GeneratorConfig(resolution=resolution, z_dim=16, w_dim=16, channel_base=256, channel_max=16)
    return Generator(config, seed=seed).eval().requires_grad_(False)


def tiny_networks(seed: int = 0) -> FaceNetworks:
    source = torch.Generator().manual_seed(seed)
    base = torch.from_numpy(face_points((0.5, 0.48), 0.25)).float()  # in crop units

    def view(crops: Tensor, part: slice, matrix: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(crops[:, :, part], 6).flatten(1) @ matrix

    identity, emotion, shift = (torch.randn(108, width, generator=source) for width in (24, 12, 136))
    perceptual = PerceptualNet(PerceptualConfig(widths=(4, 8), depths=(1, 1)))
    for parameter in perceptual.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=source).abs() * 0.3)
    return FaceNetworks(
        identity=lambda crops: F.normalize(view(crops, slice(0, 16), identity), dim=1),
        emotion=lambda crops: F.relu(view(crops, slice(16, 32), emotion)),
        landmarks=lambda crops: base + 0.02 * view(crops, slice(12, 32), shift / 10).tanh().view(-1, 68, 2),
        perceptual=perceptual.eval().requires_grad_(False),
    )


def latents(generator: Generator, seed: int) -> tuple[Latent, Latent]:
    """Two latents of a generator, different in every row."""
    source = torch.Generator().manual_seed(seed)
    shape = (2, generator.config.num_ws, generator.config.z_dim)
    with torch.no_grad():
        rows = [generator.mapping(z)[:, 0] for z in torch.randn(shape, generator=source)]
    return Latent(rows[0], generator.fingerprint), Latent(rows[1], generator.fingerprint)
