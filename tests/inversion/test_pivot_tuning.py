"""Pivot tuning: what it improves, its file of differences, and the networks they do not fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.errors import InputError, LatentfaceError, LatentMismatch
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.inversion.pivot_tuning import tune
from latentface.inversion.projector import project
from latentface.io.images import to_uint8
from latentface.io.tensors import write_tensors
from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualNet
from tests.helpers.tiny_projection import CONFIG, QUICK, generate_pictures, make_generator, peak, same


def test_pivot_tuning_improves_and_its_deltas_reproduce(
    generator: Generator, distance: PerceptualNet, tmp_path: Path
) -> None:
    picture = generate_pictures(make_generator(replace(CONFIG, channel_max=4)), (9,))[0]  # another network's face
    options = replace(QUICK, tune_steps=25, tune_learning_rate=5e-3)
    plain, tuned = (project(picture, generator, each, distance=distance) for each in (QUICK, options))
    assert peak(tuned.image, picture) > peak(plain.image, picture) + 1
    assert tuned.tune_losses.shape == (25,) and tuned.tune_losses[-1] < 0.8 * tuned.tune_losses[0]
    assert same(plain, tuned)  # the pivot stays
    tuned.tuned.save(tmp_path / "a.tuned.safetensors")
    deltas = TunedDeltas.load(tmp_path / "a.tuned.safetensors")
    fingerprint = generator.fingerprint
    changed = deltas.apply(generator)
    assert generator.fingerprint == fingerprint != changed.fingerprint
    with torch.no_grad():
        noise = [each[None, None] for each in tuned.latent.noise]
        again = to_uint8(changed.synthesis(tuned.latent.ws[None], noise=noise))[0]
    assert np.array_equal(again, tuned.image)


def test_deltas_of_another_network_or_file_are_refused(
    generator: Generator, distance: PerceptualNet, tmp_path: Path
) -> None:
    found = project(
        generate_pictures(generator)[0], generator, replace(QUICK, steps=1, tune_steps=1), distance=distance
    )
    with pytest.raises(LatentMismatch, match="tuned weights fit the network"):
        found.tuned.apply(Generator(CONFIG, seed=2))
    odd = TunedDeltas({"synthesis.b4.conv1.bias": torch.zeros(3)}, generator.fingerprint)
    with pytest.raises(LatentMismatch, match=r"synthesis\.b4\.conv1\.bias have shape \[3\]"):
        odd.apply(generator)
    with pytest.raises(LatentMismatch, match=r"name synthesis\.b5, which"):
        TunedDeltas({"synthesis.b5": torch.zeros(3)}, generator.fingerprint).apply(generator)
    found.latent.save(tmp_path / "latent.safetensors")
    with pytest.raises(InputError, match="latentface-latent"):
        TunedDeltas.load(tmp_path / "latent.safetensors")
    with pytest.raises(InputError, match="does not exist"):
        TunedDeltas.load(tmp_path / "nothing.safetensors")


def test_tuning_lowers_a_loss_and_tells_each_step(generator: Generator) -> None:
    ws = generator.w_avg.expand(1, CONFIG.num_ws, -1)
    state = {name: value.clone() for name, value in generator.state_dict().items()}
    heard = list[tuple[int, float]]()
    deltas = tune(
        generator,
        ws,
        None,
        lambda image: (image - 0.3).square().mean(),
        steps=8,
        learning_rate=0.01,
        on_step=lambda step, loss: heard.append((step, loss)),
    )
    assert [step for step, _ in heard] == list(range(8))
    assert heard[-1][1] < heard[0][1]
    assert all(torch.equal(value, state[name]) for name, value in generator.state_dict().items())
    assert deltas.fingerprint == generator.fingerprint
    assert {value.dtype for value in deltas.values.values()} == {torch.float16}
    assert set(deltas.values) == {f"synthesis.{name}" for name, _ in generator.synthesis.named_parameters()}
    with torch.no_grad():
        tuned = deltas.apply(generator).synthesis(ws)
    assert float((tuned - 0.3).square().mean()) < heard[0][1]


def test_tuning_that_diverges_is_told_with_the_step(generator: Generator) -> None:
    ws = generator.w_avg.expand(1, CONFIG.num_ws, -1)
    with pytest.raises(LatentfaceError, match=r"tuning diverged: the loss at step 0 is nan.*now 0\.5"):
        tune(generator, ws, None, lambda image: image.mean() * math.nan, steps=2, learning_rate=0.5)


@pytest.fixture(scope="module")
def ws() -> Tensor:
    return torch.randn(1, CONFIG.num_ws, CONFIG.w_dim, generator=torch.Generator().manual_seed(0))


def off(image: Tensor) -> Tensor:
    """How far a picture is from plain grey."""
    return image.square().mean((1, 2, 3))


def tuned_deltas(generator: Generator, ws: Tensor, steps: int = 20, rate: float = 0.01) -> TunedDeltas:
    return tune(generator, ws, None, off, steps=steps, learning_rate=rate)


def test_the_tuned_copy_is_nearer_and_the_generator_is_what_it_was(generator: Generator, ws: Tensor) -> None:
    fingerprint, before = generator.fingerprint, generator.synthesis(ws).detach()
    losses = list[float]()
    deltas = tune(
        generator, ws, None, off, steps=20, learning_rate=0.01, on_step=lambda step, loss: losses.append(loss)
    )
    tuned = deltas.apply(generator)
    assert losses[0] == pytest.approx(float(off(before)))
    assert losses[-1] < 0.7 * losses[0] and float(off(tuned.synthesis(ws)).detach()) < 0.7 * losses[0]
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
