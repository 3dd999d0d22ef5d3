"""What the training of photographs begins from, and what it leaves for the next run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentface import pretrained
from latentface.errors import WeightsError
from latentface.networks.encoder import EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator
from latentface.pretrained.native import build_network
from latentface.training import portrait_networks as networks
from latentface.training.adversary import ProjectedDiscriminator
from tests.helpers.tiny_portraits import TINY, backbone, start


def test_an_encoder_is_widened_by_its_last_row() -> None:
    generator = Generator(replace(TINY, resolution=64), seed=0)
    small = LatentEncoder(EncoderConfig(64, 10, 16, generator.fingerprint, widths=(8, 8, 8, 16), rank=4))
    torch.nn.init.normal_(small.deltas.weight, generator=torch.Generator().manual_seed(0))
    wide = networks.widen(small, Generator(TINY, seed=0))
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    narrow, found = small(picture), wide(picture)
    assert found.shape == (1, 12, 16)
    assert torch.equal(found[:, :10], narrow) and torch.equal(found[:, 10], narrow[:, 9])


def test_it_begins_from_the_built_in_networks() -> None:
    pair = networks.begin("synthface-256", 5)
    assert pair.encoder.config.num_ws == pair.generator.config.num_ws == 14
    assert pair.change.weight.shape == (256, 5)
    trained = {name for name, value in pair.generator.named_parameters() if value.requires_grad}
    assert trained and not any(name.startswith("mapping") or name.endswith("noise_strength") for name in trained)


def test_a_run_goes_on_from_the_folder_of_another(tmp_path: Path) -> None:
    pair, adversary = start(), ProjectedDiscriminator(backbone(), seed=1)
    torch.nn.init.normal_(pair.change.weight, generator=torch.Generator().manual_seed(0))
    path = networks.write_networks(tmp_path, pair, adversary)
    assert path.name == "face-128.safetensors"
    again, other = networks.begin(tmp_path, 9), ProjectedDiscriminator(backbone(), seed=2)
    networks.read_adversary(tmp_path, other)
    for mine, theirs in ((pair, again), (adversary, other)):
        for (name, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a.half().float(), b), name
    assert all(p.requires_grad for p in (again.change.weight, *other.heads.parameters()))
    assert torch.equal(networks.begin(tmp_path, 0).change.weight, again.change.weight)  # handed on
    assert not networks.begin(tmp_path, 7).change.weight.any()  # of other numbers: anew
    generator = pretrained.load_generator(path)
    encoder = build_network(
        tmp_path / "face-128-encoder.safetensors", "encoder", lambda config: LatentEncoder(EncoderConfig(**config))
    )
    assert encoder.config.fingerprint == generator.fingerprint


def test_a_folder_without_a_generator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"0 files face-\*\.safetensors"):
        networks.begin(tmp_path, 1)
