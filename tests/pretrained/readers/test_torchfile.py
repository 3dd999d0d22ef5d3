"""Both containers of PyTorch, read without it: equal tensors, views, and storages that are not what is claimed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.torchfile import Storage, StoredTensor, read_torch, stored
from latentface.pretrained.readers.unpickler import Instance
from latentface.pretrained.readers.values import Budget
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_refusals import refused
from tests.helpers.checkpoint_writers import make, torch_bytes


def test_wrong_bytes_in_an_archive_are_noticed(tmp_path: Path) -> None:
    content = bytearray(write.rosinality(make()))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    content[largest.header_offset + 200] ^= 1
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a", "checksum")


DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool]  # fmt: skip


def read(content: bytes) -> tuple[Any, Budget]:
    budget = Budget(len(content))
    return read_torch(memoryview(content), budget), budget


def loaded(value: Any, budget: Budget) -> torch.Tensor:
    found = stored(value, budget)
    assert found is not None
    return found.load()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_every_type_come_back(dtype: torch.dtype, legacy: bool) -> None:
    given = (torch.arange(24).reshape(2, 3, 4) % 2).to(dtype)
    value, budget = read(torch_bytes({"a": given}, legacy=legacy))
    found = loaded(value["a"], budget)
    assert torch.equal(found, given.float() if dtype.is_floating_point else given)
    assert found.dtype == (torch.float32 if dtype.is_floating_point else dtype)


@pytest.mark.parametrize("legacy", [False, True])
def test_views_share_their_storage(legacy: bool) -> None:
    whole = torch.arange(20.0).reshape(4, 5)
    given = {"whole": whole, "turned": whole.T, "part": whole[1:, 2:], "step": whole[::2], "one": whole[2, 3]}
    value, budget = read(torch_bytes(given, legacy=legacy))
    for name, tensor in given.items():
        assert torch.equal(loaded(value[name], budget), tensor), name


def test_parameters_and_empty_tensors() -> None:
    given = {"learns": torch.nn.Parameter(torch.ones(2)), "empty": torch.empty(0, 3)}
    value, budget = read(torch_bytes(given))
    assert torch.equal(loaded(value["empty"], budget), given["empty"])
    assert torch.equal(loaded(value["learns"], budget), given["learns"].detach())


def test_what_is_no_tensor_is_none() -> None:
    assert stored("text", Budget(0)) is None and stored(Instance("argparse.Namespace", ()), Budget(0)) is None


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (5,), (1,)), (1, (4,), (1,)), (-1, (2,), (1,)), (0, (2, 2), (1,)), (0, (1000,), (0,)), (0, (2,), (4,)),
        (0.5, (2,), (1,)),
    ],
)  # fmt: skip
def test_a_view_beyond_its_storage_is_damage(offset: Any, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    budget = Budget(0)
    storage = Storage(torch.float32, 4, lambda: bytes(16), budget)
    with pytest.raises(Unreadable, match=r"a tensor of shape .* in a storage of 4 values"):
        StoredTensor(storage, offset, shape, stride, budget).load()


def test_a_storage_of_another_length_is_damage() -> None:
    with pytest.raises(Unreadable, match="a storage of 4 values of 4 bytes with 12 bytes"):
        Storage(torch.float32, 4, lambda: bytes(12), Budget(0)).load()


def test_a_storage_is_read_once_and_only_when_asked_for() -> None:
    asked: list[int] = []
    storage = Storage(torch.uint8, 3, lambda: asked.append(1) or b"abc", Budget(100))
    assert asked == []
    assert storage.load() is storage.load() and asked == [1]


def test_an_archive_without_an_entry_and_of_another_byte_order() -> None:
    content = torch_bytes({"a": torch.ones(3)})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}

    def packed(entries: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as made:
            for name, part in entries.items():
                made.writestr(name, part)
        return stream.getvalue()

    value, budget = read(packed({name: part for name, part in entries.items() if "/data/" not in name}))
    with pytest.raises(Unreadable, match=r"the entry '.*data/0' is missing"):
        loaded(value["a"], budget)
    order = next(name for name in entries if name.endswith("byteorder"))
    with pytest.raises(Unreadable, match="another byte order"):
        read(packed(entries | {order: b"big"}))
