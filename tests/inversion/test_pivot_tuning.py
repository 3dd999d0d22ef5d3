"""Pivot tuning: what it improves, its file of differences, and the networks they do not fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError, LatentfaceError, LatentMismatch
from latentface.inversion import pivot_tuning
from latentface.inversion.pivot_tuning import TunedDeltas, tune
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


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    metadata = {"format": pivot_tuning.FORMAT, "format_version": "2", "fingerprint": "abc"}
    write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1)}, metadata)
    with pytest.raises(InputError, match="format version 2; this release reads version 1"):
        TunedDeltas.load(tmp_path / "a.safetensors")
