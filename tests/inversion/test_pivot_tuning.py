"""Pivot tuning: a generator's parameters learn one target, as a difference that is kept, read and applied to copies."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface.errors import InputError, LatentfaceError, LatentMismatch
from latentface.inversion.pivot_tuning import TunedDeltas, tune
from latentface.io.tensors import write_tensors
from latentface.networks.generator import Generator, GeneratorConfig

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=1, channel_base=128, channel_max=8)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG, seed=1).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ws() -> Tensor:
    return torch.randn(1, CONFIG.num_ws, CONFIG.w_dim, generator=torch.Generator().manual_seed(0))


def off(image: Tensor) -> Tensor:
    """How far a picture is from plain grey."""
    return image.square().mean((1, 2, 3))


def tuned_deltas(generator: Generator, ws: Tensor, steps: int = 20, rate: float = 0.01) -> TunedDeltas:
    return tune(generator, ws, None, off, steps=steps, learning_rate=rate)


def test_the_tuned_copy_is_nearer_and_the_generator_is_what_it_was(generator: Generator, ws: Tensor) -> None:
    fingerprint, before = generator.fingerprint, generator.synthesis(ws)
    losses = list[float]()
    deltas = tune(
        generator, ws, None, off, steps=20, learning_rate=0.01, on_step=lambda step, loss: losses.append(loss)
    )
    tuned = deltas.apply(generator)
    assert losses[0] == pytest.approx(float(off(before)))
    assert losses[-1] < 0.7 * losses[0] and float(off(tuned.synthesis(ws))) < 0.7 * losses[0]
    assert generator.fingerprint == fingerprint != tuned.fingerprint
    assert torch.equal(generator.synthesis(ws), before)
    assert torch.equal(tuned.w_avg, generator.w_avg)
    assert all(name.startswith("synthesis.") for name in deltas.values), "the mapping, and what w mean, stays"


def test_noise_maps_of_the_pivot_count(generator: Generator, ws: Tensor) -> None:
    tuned = Generator(CONFIG, seed=1).requires_grad_(False)
    for layer in tuned.synthesis.noise_layers():
        layer.noise_strength.fill_(0.5)
    zeros = [torch.zeros(1, 1, *shape) for shape in tuned.synthesis.noise_shapes()]
    own = tune(tuned, ws, None, off, steps=2, learning_rate=0.01)
    without = tune(tuned, ws, zeros, off, steps=2, learning_rate=0.01)
    assert any(not torch.equal(own.values[name], without.values[name]) for name in own.values)
    assert not any(values.any() for name, values in without.values.items() if name.endswith("noise_strength"))


def test_a_file_brings_them_back(generator: Generator, ws: Tensor, tmp_path: Path) -> None:
    deltas = tuned_deltas(generator, ws, steps=3)
    deltas.save(tmp_path / "a.tuned.safetensors")
    read = TunedDeltas.load(tmp_path / "a.tuned.safetensors")
    assert read.fingerprint == generator.fingerprint and read.values.keys() == deltas.values.keys()
    assert torch.equal(read.apply(generator).synthesis(ws), deltas.apply(generator).synthesis(ws))


@pytest.mark.parametrize(
    ("values", "fingerprint", "message"),
    [
        ({}, "f" * 64, "tuned weights fit the network ffffffffffff"),
        ({"synthesis.b99.weight": torch.zeros(1)}, None, "which this network does not have"),
        ({"synthesis.b4.const": torch.zeros(3)}, None, r"have shape \[3\]; this network expects \[8, 4, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(
    generator: Generator, values: dict[str, Tensor], fingerprint: str | None, message: str
) -> None:
    with pytest.raises(LatentMismatch, match=message):
        TunedDeltas(values, fingerprint or generator.fingerprint).apply(generator)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": "latentface-latent", "fingerprint": "f"}, "of the kind 'latentface-latent'"),
        ({"format": "latentface-tuned", "fingerprint": "f", "format_version": "9"}, "format version 9"),
        ({"format": "latentface-tuned", "format_version": "1"}, "of the kind"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, header: dict[str, str], message: str) -> None:
    write_tensors(tmp_path / "a", {"x": torch.zeros(1)}, header)
    with pytest.raises(InputError, match=message):
        TunedDeltas.load(tmp_path / "a")


def test_a_rate_that_diverges_is_told(generator: Generator, ws: Tensor) -> None:
    def broken(image: Tensor) -> Tensor:
        return image.mean((1, 2, 3)) * float("nan")

    with pytest.raises(LatentfaceError, match="pivot tuning diverged: the loss at step 0 is nan"):
        tune(generator, ws, None, broken, steps=1, learning_rate=0.01)


def test_it_works_in_inference_mode_and_its_network_after_it(generator: Generator, ws: Tensor) -> None:
    expected = tuned_deltas(generator, ws, steps=2)
    with torch.inference_mode():
        deltas = tuned_deltas(generator, ws.clone(), steps=2)
        tuned = deltas.apply(generator)
    assert all(torch.equal(deltas.values[name], values) for name, values in expected.values.items())
    start = ws.clone().requires_grad_()
    off(tuned.requires_grad_(True).synthesis(start)).sum().backward()
    assert start.grad is not None and float(start.grad.abs().max()) > 0
    assert float(tuned.synthesis.get_submodule("b8.conv0").weight.grad.abs().max()) > 0  # type: ignore[union-attr]
