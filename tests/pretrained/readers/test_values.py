"""Numbers out of what was recorded: byte orders, shapes, and never more than the file pays for."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.unpickler import Instance, unpickle
from latentface.pretrained.readers.values import (
    GROWTH,
    HEADROOM,
    Budget,
    Present,
    as_float32,
    is_array,
    is_scalar,
    load_all,
    numpy_array,
    plain,
    raw_bytes,
    sizes,
)
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make


def test_big_endian_arrays_and_half_precision(tmp_path: Path) -> None:
    generator = make()
    arrays = write.tensorflow_variables(generator.state_dict(), SMALL)
    swapped = {name: value.astype(">f4") for name, value in arrays.items()}
    (tmp_path / "a").write_bytes(write.tensorflow_pickle(swapped, {}, tmp_path / "mark"))
    assert read_checkpoint(tmp_path / "a").generator().fingerprint == generator.fingerprint
    half = {name: value.half() for name, value in generator.state_dict().items()}
    (tmp_path / "b").write_bytes(write.torch_bytes(half))
    for name, value in read_checkpoint(tmp_path / "b").state.items():
        torch.testing.assert_close(value, half[name].float())


def recorded(value: Any, protocol: int = 4) -> Instance:
    found, _ = unpickle(memoryview(pickle.dumps(value, protocol)))
    assert isinstance(found, Instance)
    return found


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">i2", "u1", "<i8", "?", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_in_native_order(dtype: str, order: str, protocol: int) -> None:
    given = np.arange(12).reshape(3, 4).astype(dtype, order=order)  # type: ignore[call-overload]
    found = recorded(given, protocol)
    assert is_array(found) and not is_scalar(found)
    array = numpy_array(found, Budget(1000))
    assert np.array_equal(array, given) and array.dtype == given.dtype.newbyteorder("=")
    assert array.flags.writeable


@pytest.mark.parametrize("value", [np.float64(2.5), np.int32(-7), np.bool_(True)])
def test_scalars_are_plain_numbers(value: Any) -> None:
    found = recorded(value)
    assert is_scalar(found) and plain(found) == value.item() and type(plain(found)) is type(value.item())
    assert plain("text") == "text"


def test_values_that_are_no_arrays_of_numbers_are_damage() -> None:
    with pytest.raises(Unreadable, match="arrays of type"):
        numpy_array(recorded(np.array(["a", "b"])), Budget(1000))
    with pytest.raises(Unreadable, match="arrays of type"):
        numpy_array(recorded(np.array([1 + 2j])), Budget(1000))
    with pytest.raises(Unreadable, match="an array without its values"):
        numpy_array(Instance("numpy.core.multiarray._reconstruct", ()), Budget(1000))


@pytest.mark.parametrize("value", [(2, -1), (2.0,), "ab", (True,), tuple(range(9)), None, [[1]]])
def test_shapes_that_are_none(value: Any) -> None:
    with pytest.raises(Unreadable, match="a shape that is not a list of sizes"):
        sizes(value)


def test_shapes_are_tuples() -> None:
    assert sizes([2, 3]) == (2, 3) and sizes(()) == ()


def test_bytes_as_protocol_2_spells_them() -> None:
    spelt = Instance("_codecs.encode", ("caf\u00e9", "latin1"))
    for given in (spelt, "caf\u00e9", b"caf\xe9"):
        assert raw_bytes(given, Budget(10)) == b"caf\xe9"
    with pytest.raises(Unreadable, match="text in place of a byte string"):
        raw_bytes("\u20ac", Budget(10))
    with pytest.raises(Unreadable, match="not latin1"):
        raw_bytes(Instance("_codecs.encode", ("a", "utf-8")), Budget(10))
    with pytest.raises(Unreadable, match="int in place of a byte string"):
        raw_bytes(7, Budget(10))


def test_a_budget_is_spent_once() -> None:
    budget = Budget(1000)
    budget.take(GROWTH * 1000 + HEADROOM)
    with pytest.raises(Unreadable, match="far more data than the file contains"):
        budget.take(1)


def test_floats_become_single_and_everything_contiguous() -> None:
    turned = torch.arange(6, dtype=torch.float64).reshape(2, 3).T
    assert as_float32(turned).dtype == torch.float32 and as_float32(turned).is_contiguous()
    assert as_float32(torch.tensor([1])).dtype == torch.int64
    assert load_all({"a": Present(torch.ones(2).half())})["a"].dtype == torch.float32
