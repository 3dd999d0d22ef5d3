"""Numbers, arrays and tensors from recorded pickles, within a memory budget given by the size of the file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch

from latentface.pretrained.readers.errors import damaged
from latentface.pretrained.readers.unpickler import Instance

Raw = bytes | bytearray | memoryview
HEADROOM = 16 << 20  # bytes; allowance for small files
GROWTH = 4  # times the file's size: half precision doubles, and protocol 2 stores bytes as text

DTYPE_CODE = re.compile(r"[fiu][1248]|b1", re.ASCII)


class Budget:
    """The remaining memory budget of a file, which limits repeated references to the same data."""

    def __init__(self, file_size: int) -> None:
        self.left = GROWTH * file_size + HEADROOM

    def take(self, count: int) -> None:
        """Use up a number of bytes; Unreadable if the budget is exceeded."""
        self.left -= count
        if self.left < 0:
            raise damaged("its tensors claim far more data than the file contains")


def raw_bytes(value: object, budget: Budget) -> Raw:
    """A byte string: as it is, or as encoded by protocol 2, `_codecs.encode(text, "latin1")`."""
    if isinstance(value, Instance) and value.kind == "_codecs.encode":
        if len(value.args) != 2 or value.args[1] not in ("latin1", "latin-1") or not isinstance(value.args[0], str):
            raise damaged("an encoded text that is not latin1")
        budget.take(len(value.args[0]))
        try:
            return value.args[0].encode("latin1")
        except UnicodeEncodeError as error:
            raise damaged("text in place of a byte string") from error
    if isinstance(value, str):  # a byte string of Python 2
        return raw_bytes(Instance("_codecs.encode", (value, "latin1")), budget)
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise damaged(f"{type(value).__name__} in place of a byte string")
    return value


def sizes(value: Any) -> tuple[int, ...]:
    """A shape or a stride: a short tuple of non-negative integers."""
    fits = isinstance(value, (tuple, list)) and len(value) <= 8
    if not fits or any(type(size) is not int or size < 0 for size in value):
        raise damaged("a shape that is not a list of sizes")
    return tuple(value)


def numpy_dtype(value: Any) -> np.dtype[Any]:
    """A recorded `numpy.dtype`: floats, integers and truth values of fixed width."""
    code = value.args[0] if isinstance(value, Instance) and value.kind == "numpy.dtype" and value.args else None
    if not isinstance(code, str) or not DTYPE_CODE.fullmatch(code) or code == "f1":
        raise damaged(f"arrays of type {ascii(code)[:40]}")
    big = isinstance(value.state, tuple) and len(value.state) > 1 and value.state[1] == ">"
    return np.dtype(f">{code}" if big else f"<{code}")


def is_array(value: object) -> bool:
    """Whether a value is a recorded numpy array."""
    return isinstance(value, Instance) and value.kind in (
        "numpy.core.multiarray._reconstruct",
        "numpy.core.numeric._frombuffer",
    )


def is_scalar(value: object) -> TypeGuard[Instance]:
    """Whether a value is a recorded numpy scalar."""
    return isinstance(value, Instance) and value.kind == "numpy.core.multiarray.scalar" and len(value.args) == 2


def numpy_array(value: Instance, budget: Budget) -> np.ndarray[Any, Any]:
    """A recorded array or scalar as a new array in native byte order."""
    if is_scalar(value):
        dtype, raw = value.args
        shape, fortran = tuple[int, ...](), False
    elif value.kind == "numpy.core.numeric._frombuffer" and len(value.args) == 4:
        raw, dtype, shape, order = value.args
        fortran = order == "F"
    elif isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, dtype, fortran, raw = value.state
    else:
        raise damaged("an array without its values")
    kind, shape, raw = numpy_dtype(dtype), sizes(shape), raw_bytes(raw, budget)
    if math.prod(shape) * kind.itemsize != len(raw):
        raise damaged(f"an array of shape {list(shape)} with {len(raw)} bytes")
    budget.take(len(raw))
    flat = np.frombuffer(raw, kind).astype(kind.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def plain(value: Any) -> Any:
    """A setting as a plain value: recorded NumPy scalars become numbers, everything else is unchanged."""
    return numpy_array(value, Budget(0)).item() if is_scalar(value) else value


class Stored(Protocol):
    """A tensor that is loaded on demand."""

    def load(self) -> torch.Tensor:
        """The tensor, floats in single precision."""


@dataclass(eq=False)
class StoredArray:
    """An array of the file."""

    array: Instance
    budget: Budget

    def load(self) -> torch.Tensor:
        """The array as a tensor, floats in single precision."""
        return as_float32(torch.from_numpy(numpy_array(self.array, self.budget)))


@dataclass(eq=False)
class Present:
    """A tensor that is already in memory."""

    value: torch.Tensor

    def load(self) -> torch.Tensor:
        """The tensor, floats in single precision."""
        return as_float32(self.value)


def as_float32(value: torch.Tensor) -> torch.Tensor:
    """Floats in single precision, other types as they are, contiguous."""
    return (value.float() if value.is_floating_point() else value).contiguous()


def load_all(stored: Mapping[str, Stored]) -> dict[str, torch.Tensor]:
    """Every tensor of a table, by its name."""
    return {name: each.load() for name, each in stored.items()}
