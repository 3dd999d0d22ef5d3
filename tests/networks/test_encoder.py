"""The encoder: what it answers, that its recipe teaches it, and where the projector then starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, pretrained
from latentface.errors import LatentMismatch, UsageError
from latentface.io.images import to_uint8
from latentface.latents.latent import Latent
from latentface.networks.encoder import CropEncoder, EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.options import ProjectOptions
from latentface.pretrained.native import write_network
from latentface.training.data import CELLS, Pairs

TINY = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=16)


@pytest.fixture(scope="module")
def generator() -> Generator:
    made = Generator(TINY, seed=1)
    with torch.no_grad():
        z = torch.randn(1000, TINY.z_dim, generator=torch.Generator().manual_seed(0))
        made.mapping.w_avg.copy_(made.mapping(z)[:, 0].mean(0))
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pairs(generator: Generator) -> Pairs:
    """The generator's own pictures: what an encoder can learn to the last pixel."""
    z = torch.randn(64, TINY.z_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        drawn = generator(z).clamp(-1, 1)
    images = to_uint8(drawn)
    return Pairs(images, torch.zeros(64, 1), np.zeros((64, CELLS, CELLS), np.uint8))


def shape(generator: Generator, **changes: object) -> EncoderConfig:
    config = generator.config
    values = {"resolution": 32, "num_ws": config.num_ws, "w_dim": config.w_dim, "fingerprint": generator.fingerprint}
    return EncoderConfig(**{**values, "widths": (8, 8, 16), **changes})


def test_it_answers_around_the_mean_with_one_w_at_first(generator: Generator) -> None:
    network = LatentEncoder(shape(generator))
    network.centre.fill_(3.0)
    ws = network(torch.zeros(2, 3, 32, 32))
    assert ws.shape == (2, TINY.num_ws, 8)
    torch.testing.assert_close(ws, ws[:, :1].expand_as(ws))
    with torch.no_grad():
        network.deltas.bias.copy_(torch.arange(float(TINY.num_ws * 8)))
    apart = network(torch.zeros(2, 3, 32, 32)) - ws
    torch.testing.assert_close(apart[0].flatten(), torch.arange(float(TINY.num_ws * 8)), rtol=0, atol=1e-4)
    assert network(torch.zeros(1, 3, 128, 128)).shape == (1, TINY.num_ws, 8)
    for bad in (torch.zeros(3, 32, 32), torch.zeros(1, 3, 32, 16), torch.zeros(1, 1, 32, 32)):
        with pytest.raises(UsageError, match="expected face crops"):
            network(bad)


def test_the_projector_starts_where_it_is_told(
    generator: Generator, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = pairs.images[0]
    fresh = LatentEncoder(shape(generator))
    write_network(tmp_path / "e.safetensors", "encoder", vars(fresh.config), fresh.state_dict())
    encoder = pretrained.load_encoder(tmp_path / "e.safetensors")
    api.forget()
    assert api.start_of(crop, generator, ProjectOptions(start="mean")) is None
    assert api.start_of(crop, generator, ProjectOptions(start="auto")) is None  # this network comes without an encoder
    with pytest.raises(UsageError, match="no encoder"):
        api.start_of(crop, generator, ProjectOptions(start="encoder"))
    api.forget()
    monkeypatch.setattr(pretrained, "find_encoder", lambda fingerprint: encoder)
    for start in ("auto", "encoder"):
        torch.testing.assert_close(
            api.start_of([crop, crop], generator, ProjectOptions(start=start)), api.encode([crop, crop], generator)
        )
    ws = torch.randn(TINY.num_ws, 8, generator=torch.Generator().manual_seed(0))
    Latent(ws=ws, fingerprint=generator.fingerprint).save(tmp_path / "a.safetensors")
    Latent(ws=ws, fingerprint="another").save(tmp_path / "b.safetensors")
    torch.testing.assert_close(
        api.start_of([crop, crop], generator, ProjectOptions(start=str(tmp_path / "a.safetensors")))[1], ws
    )
    with pytest.raises(LatentMismatch):
        api.start_of(crop, generator, ProjectOptions(start=str(tmp_path / "b.safetensors")))
    api.forget()


def test_one_encoder_serves_every_resolution() -> None:
    encoder = CropEncoder(64, 8)
    for resolution in (64, 32, 16):
        assert encoder(torch.zeros(2, 3, resolution, resolution)).shape == (2, 8)
    with pytest.raises(ValueError, match="widths"):
        CropEncoder(64, 8, widths=(16, 16))
