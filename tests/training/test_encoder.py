"""The recipe of the encoder: it learns, starts from a pair's encoder, and sees spoilt pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import pretrained
from latentface.io.images import to_uint8
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.training import encoder as recipe
from latentface.training.data import CELLS, Pairs, join
from latentface.training.loop import Loop, LoopOptions

TINY = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=16)


class AbsoluteDistance(torch.nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean((1, 2, 3))


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


def test_the_recipe_teaches_it(
    generator: Generator, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "HELD_OUT", 8)
    both = join([pairs, pairs])
    assert len(both) == 128
    task = recipe.EncoderTask(generator, AbsoluteDistance(), both)
    untrained = task.measure(task.build().eval().requires_grad_(False))["psnr"]
    path = Loop(task, tmp_path, LoopOptions(steps=20, warm_up=5, average=0.8, measure_every=20, bfloat16=False)).run()
    network = pretrained.load_encoder(path)
    assert task.measure(network)["psnr"] > untrained + 1
    assert network.config.fingerprint == generator.fingerprint
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_recipe_starts_from_the_encoder_of_a_pair(generator: Generator, pairs: Pairs, tmp_path: Path) -> None:
    task = recipe.EncoderTask(generator, AbsoluteDistance(), pairs, tmp_path / "checkpoint.pt")
    donor = recipe.EncoderTask(generator, AbsoluteDistance(), pairs).build().trunk.state_dict()
    donor = {name: value + 1 for name, value in donor.items()}
    torch.save({"average": {f"coder.encoder.{k}": v for k, v in donor.items()}}, tmp_path / "checkpoint.pt")
    for name, value in task.build().trunk.state_dict().items():
        torch.testing.assert_close(value, donor[name])


def test_samples_know_their_w_and_spoiling_leaves_the_target(
    generator: Generator, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "HELD_OUT", 8)
    task = recipe.EncoderTask(generator, AbsoluteDistance(), pairs)
    dirty, clean, weights, w, seed = task.sample_batch(torch.Generator().manual_seed(3))
    again = task.sample_batch(torch.Generator().manual_seed(3))
    torch.testing.assert_close(dirty, again[0])
    assert dirty.shape == clean.shape == (recipe.BATCH, 3, 32, 32) and weights.shape == (recipe.BATCH, 1, 32, 32)
    assert w.shape == (recipe.BATCH // 2, 8) and seed == again[4]
    assert (dirty - clean).abs().mean() > 0.01
    assert dirty.abs().max() <= 1 and clean.abs().max() <= 1
