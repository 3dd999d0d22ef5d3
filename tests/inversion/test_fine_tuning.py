"""Fine-tuning: what it lowers, how it is interrupted, its file of differences, and the networks they do not fit."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface.errors import InputError, LatentfaceError, LatentMismatch
from latentface.inversion.fine_tuning import Checkpoint, OnStep, TunedDeltas, fine_tune
from latentface.io.tensors import write_tensors
from latentface.networks.generator import Generator, SynthesisNetwork
from tests.helpers.tiny_projection import CONFIG


@pytest.fixture(scope="module")
def ws() -> Tensor:
    return torch.randn(1, CONFIG.num_ws, CONFIG.w_dim, generator=torch.Generator().manual_seed(0))


def tuned_deltas(
    generator: Generator,
    ws: Tensor,
    steps: int = 6,
    checkpoint: Checkpoint | None = None,
    on_step: OnStep | None = None,
) -> TunedDeltas:
    """Deltas that make a picture darker, each step by another amount."""

    def loss(synthesis: SynthesisNetwork, step: int) -> Tensor:
        return (synthesis(ws, noise_mode="const") + 0.1 * step).square().mean()

    return fine_tune(
        generator, loss, steps=steps, rate=lambda step: 0.01, betas=(0.5, 0.99), checkpoint=checkpoint, on_step=on_step
    )


def test_it_tells_each_step_and_leaves_the_generator_alone(generator: Generator, ws: Tensor) -> None:
    state = {name: value.clone() for name, value in generator.state_dict().items()}
    heard = list[int]()
    deltas = tuned_deltas(generator, ws, on_step=lambda step, loss: heard.append(step))
    assert heard == list(range(6))
    assert all(torch.equal(value, state[name]) for name, value in generator.state_dict().items())
    assert {value.dtype for value in deltas.values.values()} == {torch.float16}
    assert set(deltas.values) == {f"synthesis.{name}" for name, _ in generator.synthesis.named_parameters()}


def test_parameters_follow_their_share_of_the_rate(generator: Generator, ws: Tensor) -> None:
    deltas = fine_tune(
        generator, lambda synthesis, step: synthesis(ws).square().mean(), steps=2, rate=lambda step: 0.01,
        betas=(0.5, 0.99), share=lambda name: float(name.startswith("b8.")),
    )  # fmt: skip
    changed = {name.split(".")[1] for name, value in deltas.values.items() if value.any()}
    assert changed == {"b8"}


class Interrupted(Exception):
    """Somebody pressed a key."""


@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupted_run_goes_on_as_if_it_had_not_stopped(
    generator: Generator, ws: Tensor, tmp_path: Path, at: int
) -> None:
    def stop(step: int, loss: float) -> None:
        if step == at:
            raise Interrupted

    checkpoint, heard = Checkpoint(tmp_path / "part.safetensors", "run", every=2), list[int]()
    with pytest.raises(Interrupted):
        tuned_deltas(generator, ws, checkpoint=checkpoint, on_step=stop)
    resumed = tuned_deltas(generator, ws, checkpoint=checkpoint, on_step=lambda step, loss: heard.append(step))
    assert heard[0] == at // 2 * 2 and heard[-1] == 5 and not checkpoint.path.exists()
    whole = tuned_deltas(generator, ws)
    assert all(torch.equal(value, whole.values[name]) for name, value in resumed.values.items())


def test_the_state_of_another_run_is_not_gone_on_with(generator: Generator, ws: Tensor, tmp_path: Path) -> None:
    def stop(step: int, loss: float) -> None:
        if step == 3:
            raise Interrupted

    path, heard = tmp_path / "part.safetensors", list[int]()
    with pytest.raises(Interrupted):
        tuned_deltas(generator, ws, checkpoint=Checkpoint(path, "one", every=1), on_step=stop)
    assert path.exists()
    tuned_deltas(generator, ws, checkpoint=Checkpoint(path, "two"), on_step=lambda step, loss: heard.append(step))
    assert heard[0] == 0


def test_a_loss_that_is_not_finite_is_told_with_the_step(generator: Generator, ws: Tensor) -> None:
    with pytest.raises(LatentfaceError, match=r"tuning diverged: the loss at step 1 is nan.*now 0\.5"):
        fine_tune(
            generator, lambda synthesis, step: synthesis(ws).mean() * (math.nan if step else 1.0), steps=2,
            rate=lambda step: 0.5 / (step + 1), betas=(0.9, 0.999),
        )  # fmt: skip


def test_a_file_brings_them_back(generator: Generator, ws: Tensor, tmp_path: Path) -> None:
    deltas = tuned_deltas(generator, ws, steps=1)
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
