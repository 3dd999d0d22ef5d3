"""Pivotal tuning: it brings a projection nearer to its picture, and leaves the generator as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.inversion.fine_tuning import TunedDeltas
from latentface.inversion.pivot_tuning import tune
from latentface.inversion.projector import project
from latentface.io.images import to_uint8
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
