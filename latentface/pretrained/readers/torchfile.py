"""PyTorch's two file formats, the zip archive and the older series of pickles, read without `torch.load`.

A tensor is a view (offset, shape, stride) of a storage; a storage is a range of bytes elsewhere in the file. Both are
checked against the file before any memory is allocated, and read only when the tensor is needed.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from latentface.pretrained.readers.errors import damaged, not_supported
from latentface.pretrained.readers.unpickler import Global, Instance, unpickle
from latentface.pretrained.readers.values import (
    Budget,
    Present,
    Raw,
    Stored,
    StoredArray,
    as_float32,
    is_array,
    raw_bytes,
    sizes,
)

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
LEGACY_PROTOCOL = 1001
ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, OSError, EOFError, struct.error)
LOCAL_HEADER = 30  # bytes before the name in a zip entry

DTYPES = {
    "torch.FloatStorage": torch.float32, "torch.HalfStorage": torch.float16, "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64, "torch.LongStorage": torch.int64, "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16, "torch.CharStorage": torch.int8, "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool, "torch.storage.UntypedStorage": torch.uint8,
}  # fmt: skip


@dataclass(eq=False)
class Storage:
    """Values of one type, of which tensors are views; `read` returns their bytes."""

    dtype: torch.dtype
    count: int
    read: Callable[[], Raw]
    budget: Budget
    values: torch.Tensor | None = None

    def load(self) -> torch.Tensor:
        """All values, [count], in newly allocated memory; cached, since tensors share storages."""
        if self.values is None:
            raw, width = self.read(), self.dtype.itemsize
            if len(raw) != self.count * width:
                raise damaged(f"a storage of {self.count} values of {width} bytes with {len(raw)} bytes")
            self.budget.take(len(raw))
            self.values = torch.frombuffer(bytearray(raw), dtype=self.dtype) if raw else torch.empty(0)
        return self.values


@dataclass(eq=False)
class StoredTensor:
    """A view of a storage, checked when it is loaded."""

    storage: Any
    offset: Any
    shape: Any
    stride: Any
    budget: Budget

    def load(self) -> torch.Tensor:
        """The tensor, contiguous; floats in single precision."""
        storage = self._storage()
        shape, stride = sizes(self.shape), sizes(self.stride)
        count, last = 1, 0
        for size, step in zip(shape, stride, strict=False):
            count, last = count * size, last + (size - 1) * step
        fits = len(shape) == len(stride) and type(self.offset) is int and self.offset >= 0
        # no more elements than the storage has: a stride of 0 could turn one number into gigabytes
        if not fits or count > storage.count or (count and self.offset + last >= storage.count):
            raise damaged(f"a tensor of shape {list(shape)} in a storage of {storage.count} values")
        values = storage.load()
        self.budget.take(0 if values.dtype == torch.float32 and count == storage.count else 4 * count)
        if not count:
            return torch.empty(shape)
        return as_float32(values.as_strided(shape, stride, self.offset))

    def _storage(self) -> Storage:
        value = self.storage
        if isinstance(value, Instance) and value.kind == "torch.storage._load_from_bytes" and len(value.args) == 1:
            # persistence pickles wrap each tensor's storage in its own torch file
            value, _ = read_legacy(memoryview(raw_bytes(value.args[0], self.budget)), self.budget)
            self.storage = value
        if not isinstance(value, Storage):
            raise damaged("a tensor without a storage")
        return value


def stored(value: Any, budget: Budget) -> Stored | None:
    """The tensor or array recorded by the unpickler, or None for anything else."""
    if isinstance(value, torch.Tensor):
        return Present(value)
    if is_array(value):
        return StoredArray(value, budget)
    if not isinstance(value, Instance) or not value.kind.startswith("torch._utils._rebuild_tensor"):
        return None
    if len(value.args) < 4:
        raise damaged("a tensor without offset, shape or stride")
    storage, offset, shape, stride = value.args[:4]
    return StoredTensor(storage, offset, shape, stride, budget)


def read_legacy(data: memoryview, budget: Budget) -> tuple[Any, int]:
    """Read the format of torch before 1.6 and inside pickles: five pickles, then length and bytes of each storage."""
    if bytes(data[: len(LEGACY_START)]) != LEGACY_START:
        raise damaged("a nested torch file without its magic number")
    storages: dict[str, Storage] = {}
    places: dict[str, memoryview] = {}

    def persistent(reference: object) -> Storage:
        key, dtype, count = _reference(reference)
        if key not in storages:
            storages[key] = Storage(dtype, count, lambda: places.get(key, b""), budget)
        return storages[key]

    protocol, at = unpickle(data, len(LEGACY_START))
    system, at = unpickle(data, at)
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise not_supported("a PyTorch file of another protocol or byte order")
    value, at = unpickle(data, at, persistent)
    keys, at = unpickle(data, at)
    for key in keys if isinstance(keys, list) else []:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or int.from_bytes(data[at : at + 8], "little") != storage.count:
            raise damaged("storages other than its tensors refer to")
        end = at + 8 + storage.count * storage.dtype.itemsize
        if end > len(data):  # reported even if this storage is not needed, since the file is incomplete
            raise damaged("the last of its storages are cut off")
        places[key], at = data[at + 8 : end], end
    return value, at


def read_zip(data: memoryview, budget: Budget) -> Any:
    """Read the archive of torch since 1.6: `NAME/data.pkl` and one uncompressed entry for each storage."""
    try:
        with zipfile.ZipFile(_File(data)) as archive:
            entries = {info.filename: info for info in archive.infolist()}
    except ZIP_ERRORS as error:
        raise damaged(f"as a zip archive: {error}") from error
    prefix = next((name.removesuffix("data.pkl") for name in entries if name.endswith("data.pkl")), None)
    if prefix is None:
        raise not_supported("a zip archive without a PyTorch file in it")
    if f"{prefix}constants.pkl" in entries:
        raise not_supported("a TorchScript module (compiled code)")

    def entry(name: str) -> memoryview:
        if name not in entries:
            raise damaged(f"the entry {ascii(name)[:60]} is missing")
        return _stored_entry(data, entries[name])

    if f"{prefix}byteorder" in entries and bytes(entry(f"{prefix}byteorder")) != b"little":
        raise not_supported("a PyTorch file of another byte order")
    storages: dict[str, Storage] = {}

    def persistent(reference: object) -> Storage:
        key, dtype, count = _reference(reference)
        if key not in storages:
            storages[key] = Storage(dtype, count, lambda: entry(f"{prefix}data/{key}"), budget)
        return storages[key]

    return unpickle(entry(f"{prefix}data.pkl"), 0, persistent)[0]


def read_torch(data: memoryview, budget: Budget) -> Any:
    """Read a PyTorch file of either kind; its tensors are recorded (`stored`)."""
    if bytes(data[:2]) == b"PK":
        return read_zip(data, budget)
    return read_legacy(data, budget)[0]


class _File:
    """A file object over the data, from which the archive's directory is read without copying the whole."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self.at, len(self.data))[whence]
        if at < 0:
            raise OSError("before the beginning")
        self.at = at
        return at

    def tell(self) -> int:
        return self.at

    def read(self, count: int = -1) -> bytes:
        part = bytes(self.data[self.at : None if count < 0 else self.at + count])
        self.at += len(part)
        return part

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        pass


def _reference(value: Any) -> tuple[str, torch.dtype, int]:
    """Key, type and length of the storage in a persistent id ("storage", type, key, device, length, ...)."""
    fits = isinstance(value, tuple) and len(value) in (5, 6) and value[0] == "storage" and isinstance(value[1], Global)
    if not fits or value[1].name not in DTYPES or not isinstance(value[2], str):
        raise damaged("a reference to something that is not a storage")
    if type(value[4]) is not int or value[4] < 0 or (len(value) == 6 and value[5] is not None):
        raise damaged("a storage of unknown length")
    return value[2], DTYPES[value[1].name], value[4]


def _stored_entry(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of an uncompressed archive entry, verified by its checksum."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise not_supported("a compressed or encrypted archive, as PyTorch does not write them")
    at = info.header_offset
    name, extra = (int.from_bytes(data[at + k : at + k + 2], "little") for k in (26, 28))
    begin = at + LOCAL_HEADER + name + extra
    content = data[begin : begin + info.file_size]
    if bytes(data[at : at + 4]) != b"PK\x03\x04" or len(content) != info.file_size:
        raise damaged("an archive entry reaches beyond its end")
    if zlib.crc32(content) != info.CRC:
        raise damaged("an archive entry's checksum does not match")
    return content
