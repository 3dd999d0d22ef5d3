"""Tensors in files: whole, equal for equal content, refused in one line, and free of the block they were read in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentface.errors import InputError, OutputError, WeightsError
from latentface.io.tensors import read_tensors, write_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b.c": torch.ones(4, dtype=torch.float16), "n": torch.tensor(3)}


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {**TENSORS, "t": TENSORS["a"].t()}, {"kind": "test", "note": "é"})
    tensors, metadata = read_tensors(tmp_path / "a", InputError, "a test")
    assert metadata == {"kind": "test", "note": "é"}
    assert torch.equal(tensors.pop("t"), TENSORS["a"].t())
    assert tensors.keys() == TENSORS.keys()
    assert all(tensors[name].dtype == each.dtype and torch.equal(tensors[name], each) for name, each in TENSORS.items())


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    facts = {name: str(k) for k, name in enumerate("abcdefgh")}
    written = set()
    for k in range(6):
        write_tensors(tmp_path / "a", TENSORS, dict(reversed(facts.items()) if k % 2 else facts))
        written.add((tmp_path / "a").read_bytes())
    assert len(written) == 1


def test_a_file_may_be_replaced_while_its_tensors_live(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", TENSORS, {})
    tensors, _ = read_tensors(tmp_path / "a", InputError, "a test")
    with (tmp_path / "a").open("r+b") as file:
        file.write(b"\0" * (tmp_path / "a").stat().st_size)
    assert torch.equal(tensors["a"], TENSORS["a"])


def test_tensors_read_in_inference_mode_serve_outside(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", TENSORS, {})
    with torch.inference_mode():
        tensors, _ = read_tensors(tmp_path / "a", InputError, "a test")
    weight = tensors["a"].requires_grad_()
    weight.square().sum().backward()
    assert weight.grad is not None and torch.equal(weight.grad, 2 * TENSORS["a"])


@pytest.mark.parametrize("kind", [InputError, WeightsError])
@pytest.mark.parametrize(
    ("content", "message"), [(None, "does not exist"), (b"", "is empty"), (b"x" * 100, "damaged or not a safetensors")]
)
def test_what_cannot_be_read(tmp_path: Path, kind: type[InputError], content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(kind, match=message) as caught:
        read_tensors(tmp_path / "a", kind, "a test")
    assert str(caught.value).endswith("give a test") and "\n" not in str(caught.value)
    with pytest.raises(kind, match="is a folder"):
        read_tensors(tmp_path, kind, "a test")


def test_a_place_that_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="none"):
        write_tensors(tmp_path / "none" / "a", TENSORS, {})
