"""Dictionaries of tensors: found wherever they lie, with encoder, mean code and options beside them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.rosinality import PLACES, read_states
from latentface.pretrained.readers.values import Budget
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make


def test_old_rosinality_biases(tmp_path: Path) -> None:
    generator = make()
    state = {
        re.sub(r"\.activate\.bias$", ".bias", name): value.reshape(1, -1, 1, 1) if "activate" in name else value
        for name, value in write.rosinality_state(generator).items()
        if not name.endswith("kernel")
    }
    (tmp_path / "a").write_bytes(write.torch_bytes({"g_ema": state, "latent_avg": generator.w_avg}))
    assert read_checkpoint(tmp_path / "a").generator().fingerprint == generator.fingerprint


def test_an_encoder_comes_with_its_options(tmp_path: Path) -> None:
    generator = make()
    (tmp_path / "a").write_bytes(write.psp(generator))
    checkpoint = read_checkpoint(tmp_path / "a")
    assert checkpoint.encoder is not None and set(checkpoint.encoder) == {
        "input_layer.0.weight", "styles.0.linear.bias",
    }  # fmt: skip
    assert read_checkpoint(tmp_path / "a", encoder=False).encoder is None
    assert checkpoint.latent_avg is not None and checkpoint.latent_avg.shape == (SMALL.num_ws, SMALL.w_dim)
    assert checkpoint.options == {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, "lr": 1e-4}


@pytest.mark.parametrize("place", PLACES)
def test_a_state_is_found_wherever_it_lies(place: str) -> None:
    state = write.rosinality_state(make())
    found = read_states({place: state} if place else state, Budget(10**6)).state
    for name, value in make().state_dict().items():
        assert name == "mapping.w_avg" or torch.equal(found[name], value), name


@pytest.mark.parametrize("prefix", ["module.", "generator.", "net.g_ema."])
def test_prefixes_are_taken_off(prefix: str) -> None:
    state = {f"{prefix}{name}": value for name, value in write.rosinality_state(make()).items()}
    found = read_states({"state_dict": state, "latent_avg": make().w_avg}, Budget(10**6))
    assert found.generator().fingerprint == make().fingerprint


def test_an_averaged_copy_in_one_dictionary_comes_first() -> None:
    both = {f"g.{name}": value for name, value in write.rosinality_state(make(seed=1)).items()}
    both |= {f"g_ema.{name}": value for name, value in write.rosinality_state(make(seed=2)).items()}
    found = read_states({"model": both, "latent_avg": make(seed=2).w_avg}, Budget(10**6))
    assert found.generator().fingerprint == make(seed=2).fingerprint


def test_our_own_names_are_read_in_a_plain_dictionary() -> None:
    found = read_states(dict(make().state_dict()), Budget(10**6))
    assert (found.format, found.generator().fingerprint) == ("stylegan2-ada", make().fingerprint)


def test_a_mean_code_a_row_becomes_their_mean() -> None:
    rows = torch.randn(SMALL.num_ws, 8, generator=torch.Generator().manual_seed(0))
    found = read_states({"g_ema": write.rosinality_state(make()), "latent_avg": rows}, Budget(10**6))
    torch.testing.assert_close(found.state["mapping.w_avg"], rows.mean(0))
    assert found.latent_avg is not None and torch.equal(found.latent_avg, rows)


@pytest.mark.parametrize("average", [torch.ones(1, 2, 8), torch.tensor([1, 2]), torch.full((8,), math.nan)])
def test_a_mean_code_of_another_kind_is_damage(average: torch.Tensor) -> None:
    with pytest.raises(Unreadable, match="latent_avg of shape"):
        read_states({"g_ema": write.rosinality_state(make()), "latent_avg": average}, Budget(10**6))


def test_tensors_of_a_variant_are_counted() -> None:
    state = write.rosinality_state(make()) | {"extra.weight": torch.ones(2), "more.bias": torch.ones(2)}
    with pytest.raises(Unreadable, match="has 2 tensors that StyleGAN2 does not have"):
        read_states({"g_ema": state}, Budget(10**6))


def test_a_network_too_large_to_be_one_is_damage() -> None:
    state = write.rosinality_state(make()) | {f"to_rgbs.{n}.bias": torch.ones(1, 3, 1, 1) for n in range(9)}
    with pytest.raises(Unreadable, match="9 resolutions above 4 pixels"):
        read_states({"g_ema": state}, Budget(10**6))
