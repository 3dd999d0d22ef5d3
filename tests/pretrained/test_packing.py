"""Weights in eight bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentface.errors import WeightsError
from latentface.io.tensors import read_tensors, write_tensors
from latentface.pretrained.native import read_network, write_network
from latentface.pretrained.packing import BLOCK, LEVELS, STEP, pack, unpack


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {
        "kernel": torch.randn(16, 32, 3, 3, generator=generator),
        "empty": torch.zeros(64, 64),
        "bias": torch.randn(5000, generator=generator),
        "odd": torch.randn(67, 67, generator=generator),
        "count": torch.tensor(7),
    }
    state["kernel"][0] *= 1e-3  # one block's size says nothing of another's
    return state


def test_numbers_are_kept_to_half_a_step_of_their_block() -> None:
    state = weights()
    packed = pack(state)
    assert packed["kernel"].dtype == torch.int8 and packed["kernel"].shape == state["kernel"].shape
    assert {name for name in packed if name.endswith(STEP)} == {"kernel" + STEP, "empty" + STEP}
    found = unpack(packed)
    assert found.keys() == state.keys() and found["count"] == 7 and found["count"].dtype == torch.int64
    blocks = state["kernel"].reshape(-1, BLOCK)
    error = (found["kernel"].reshape(-1, BLOCK) - blocks).abs()
    step = blocks.abs().amax(1, keepdim=True) / LEVELS
    assert (error <= 0.57 * step).all() and error.max() > 0.4 * step.max()  # the step itself is rounded, too
    assert (found["empty"] == 0).all()
    torch.testing.assert_close(found["bias"], state["bias"].half().float(), rtol=0, atol=0)


def test_names_that_are_to_be_exact_are_not_packed() -> None:
    packed = pack(weights(), exact=("ker",))
    assert packed["kernel"].dtype == torch.float16 and "kernel" + STEP not in packed and "empty" + STEP in packed


def test_what_was_packed_packs_to_the_same_bytes() -> None:
    once = unpack(pack(weights()))
    twice = unpack(pack(once))
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_files_are_half_as_large_and_read_as_others_are(tmp_path: Path) -> None:
    state = weights()
    small, half = tmp_path / "small.safetensors", tmp_path / "half.safetensors"
    write_network(small, "mouth", {"a": 1}, state, torch.int8)
    write_network(half, "mouth", {"a": 1}, state)
    numbers = state["kernel"].numel() + state["empty"].numel()
    assert half.stat().st_size - small.stat().st_size > 0.9 * numbers * (2 - 1 - 2 / BLOCK)
    file = read_network(small)
    assert file.config == {"a": 1} and file.state.keys() == state.keys()
    torch.testing.assert_close(file.state["kernel"], state["kernel"], rtol=0, atol=0.02)


def test_a_file_with_too_few_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_network(path, "mouth", {}, weights(), torch.int8)
    tensors, header = read_tensors(path, WeightsError, "")
    del header["format"]
    write_tensors(path, {**tensors, "kernel" + STEP: tensors["kernel" + STEP][1:]}, {**header, "format": "latentface"})
    with pytest.raises(WeightsError, match=r"damaged \(kernel"):
        read_network(path)
