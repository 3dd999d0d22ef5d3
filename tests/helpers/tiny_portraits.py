"""Small networks that learn photographs, and a discriminator's backbone with random weights."""

from __future__ import annotations

import torch

from latentface.networks.encoder import EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.lpips import Lpips
from latentface.training.portrait_networks import Autoencoder
from tests.helpers.lpips_references import random_heads, state_of

TINY = GeneratorConfig(resolution=128, z_dim=16, w_dim=16, num_mapping_layers=2, channel_base=512, channel_max=16)


def backbone() -> Lpips:
    """SqueezeNet as the discriminator sees through it."""
    return Lpips("squeezenet1_1", {**state_of("squeezenet1_1"), **random_heads("squeezenet1_1")})


def start(controls: int = 9) -> Autoencoder:
    """An encoder and a generator of 128 px that know nothing."""
    generator = Generator(TINY, seed=0)
    config = EncoderConfig(128, 12, 16, generator.fingerprint, widths=(8, 8, 8, 8, 16), rank=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = LatentEncoder(config)
    return Autoencoder(encoder, generator, controls)
