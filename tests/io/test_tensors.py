"""Tensors in safetensors files: written whole and alike, read as copies, refused by what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from latentface.errors import InputError, OutputError, WeightsError
from latentface.io.tensors import read_tensors, write_tensors, write_torch
from tests.helpers.full_disk import little_room

TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3),
    "a": torch.tensor([1, 2], dtype=torch.int64),
    "half": torch.ones(3).half(),
}
FACTS = {"z": "last", "kind": "test", "a": "first"}


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", TENSORS, FACTS)
    tensors, facts = read_tensors(tmp_path / "a.safetensors", WeightsError, "a file")
    assert facts == FACTS and tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype for name, value in TENSORS.items()
    )


def test_equal_content_makes_equal_bytes_in_whatever_order_it_came(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", TENSORS, FACTS)
    backwards = dict(reversed(TENSORS.items())), dict(reversed(FACTS.items()))
    write_tensors(tmp_path / "b.safetensors", *backwards)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_file_is_one_of_safetensors_with_aligned_tensors(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", TENSORS, FACTS)
    content = (tmp_path / "a.safetensors").read_bytes()
    assert int.from_bytes(content[:8], "little") % 8 == 0
    assert torch.equal(safetensors.torch.load(content)["b"], TENSORS["b"])


def test_views_and_gradients_are_written_as_plain_numbers(tmp_path: Path) -> None:
    square = torch.arange(9.0).reshape(3, 3).requires_grad_()
    write_tensors(tmp_path / "a.safetensors", {"turned": square.T, "part": square[1:, 1:]}, {})
    tensors, _ = read_tensors(tmp_path / "a.safetensors", WeightsError, "a file")
    assert torch.equal(tensors["turned"], square.detach().T) and tensors["part"].tolist() == [[4, 5], [7, 8]]
    assert not tensors["turned"].requires_grad


def test_tensors_outlive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, TENSORS, {})
    tensors, _ = read_tensors(path, WeightsError, "a file")
    path.write_bytes(b"\0" * path.stat().st_size)
    assert torch.equal(tensors["b"], TENSORS["b"])


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="none"):
        write_tensors(tmp_path / "none" / "a.safetensors", TENSORS, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist: give a latent"),
        (b"", "is empty: give a latent"),
        (b"no tensors at all", "damaged or not a safetensors file"),
        (b"\xff" * 64, "damaged or not a safetensors file"),
    ],
)
def test_what_cannot_be_read_is_told_in_the_caller_s_words(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_tensors(path, InputError, "a latent")


def test_cut_files_and_folders_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, TENSORS, FACTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="damaged or not a safetensors file"):
        read_tensors(path, WeightsError, "a network")
    with pytest.raises(WeightsError, match="is a folder: give a network"):
        read_tensors(tmp_path, WeightsError, "a network")


def test_tensors_read_in_inference_mode_serve_outside(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", TENSORS, {})
    with torch.inference_mode():
        tensors, _ = read_tensors(tmp_path / "a.safetensors", InputError, "a file")
    weight = tensors["b"].requires_grad_()
    weight.square().sum().backward()
    assert weight.grad is not None and torch.equal(weight.grad, 2 * TENSORS["b"])


def test_torchs_own_files_are_whole_or_not_there(tmp_path: Path) -> None:
    value = {"a": torch.arange(3000.0), "steps": 7}
    write_torch(tmp_path / "a.pt", value)
    before = (tmp_path / "a.pt").read_bytes()
    again = torch.load(tmp_path / "a.pt", weights_only=True)
    assert torch.equal(again["a"], value["a"]) and again["steps"] == 7
    with little_room(2000), pytest.raises(OutputError, match=r"a\.pt: .*; choose a place that has room"):
        write_torch(tmp_path / "a.pt", value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"] and (tmp_path / "a.pt").read_bytes() == before
