"""The pickle machine: values recorded, globals only from the list, nothing copied without end."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest

from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.unpickler import Global, Instance, unpickle
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import make


class Old:
    """Pickled as Python 2 pickled an OrderedDict: with a list of its pairs."""

    def __init__(self, pairs: Any) -> None:
        self.pairs = pairs

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return (OrderedDict, (self.pairs,))


def test_dictionaries_of_python_2_are_read(tmp_path: Path) -> None:
    pairs = [[name, value] for name, value in write.rosinality_state(make()).items()]
    (tmp_path / "a").write_bytes(write.torch_bytes({"g_ema": Old(pairs), "latent_avg": make().w_avg}))
    assert read_checkpoint(tmp_path / "a").generator().fingerprint == make().fingerprint


def test_a_list_of_pairs_becomes_one_dictionary_however_often_it_is_named() -> None:
    pairs = [[f"name {k}", k] for k in range(1000)]
    content = pickle.dumps([Old(pairs) for _ in range(50)], protocol=2)
    value, _ = unpickle(memoryview(content))
    assert [len(each) for each in value] == [1000] + [0] * 49


@pytest.mark.parametrize("pairs", [[["a"]], [[1, 2]], [[("a",), 2]], "ab", [7]])
def test_dictionaries_of_anything_else_are_refused(pairs: Any) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        unpickle(memoryview(pickle.dumps(Old(pairs), protocol=2)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back(protocol: int) -> None:
    value = {
        "numbers": [0, -1, 255, 70_000, 2**40, -(2**70), 1.5, True, False, None], "text": "\u00e9" * 300,
        "bytes": b"x" * 300 if protocol > 2 else "x", "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "nested": {"a": {"b": [{}]}}, "1": OrderedDict(a=1),
    }  # fmt: skip
    found, end = unpickle(memoryview(pickle.dumps(value, protocol)))
    assert found == value and end == len(pickle.dumps(value, protocol))


def test_what_follows_a_pickle_is_left() -> None:
    first = pickle.dumps([1], 4)
    assert unpickle(memoryview(first + pickle.dumps("second", 4))) == ([1], len(first))
    assert unpickle(memoryview(first + pickle.dumps("second", 4)), len(first))[0] == "second"


def test_sharing_is_kept() -> None:
    shared = [1]
    found, _ = unpickle(memoryview(pickle.dumps({"a": shared, "b": shared}, 4)))
    assert found["a"] is found["b"]


def test_objects_are_recorded_and_not_made() -> None:
    found, _ = unpickle(memoryview(pickle.dumps(np.float64(2.5), 4)))
    assert isinstance(found, Instance) and found.kind == "numpy.core.multiarray.scalar"
    name, _ = unpickle(memoryview(pickle.dumps(OrderedDict, 4)))
    assert name == Global("collections.OrderedDict")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x80\x04cos\nsystem\n.", "wants to load 'os.system'"),
        (b"\x80\x04ctensorflow.python\nSession\n.", "a TensorFlow object"),
        (b"\x80\x02K\x01Q.", "a reference to data outside the pickle"),
        (b"I1\n.", "the pickle instruction INT"),
        (b"\x80\x04N", "damaged"),
        (b"\x80\x04K\x01)R.", "a call of something that is not a global"),
        (b"\x80\x04K\x01}b.", "state for something that is not an object"),
        (b"\x80\x04NNa.", "items for something that is not a list"),
        (b"\x80\x04}(K\x01u.", "items for something that is not a dictionary"),
        (b"\x80\x04}(NNu.", "keys that are neither text nor few integers"),
        (b"\x80\x04h\x05.", "damaged"),
    ],
)
def test_what_no_writer_of_networks_makes_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        unpickle(memoryview(content))


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(Unreadable, match="an integer of thousands of digits"):
        unpickle(memoryview(pickle.dumps(1 << 100_000, 4)))


def test_persistent_ids_are_given_to_whoever_asked() -> None:
    found, _ = unpickle(memoryview(b"\x80\x02K\x07Q."), persistent=lambda reference: ("made of", reference))
    assert found == ("made of", 7)


@pytest.mark.parametrize("protocol", [2, 4])
def test_paths_and_namespaces_among_the_settings_are_inert(protocol: int, tmp_path: Path) -> None:
    settings = Namespace(ckpt=Path("/models/550000.pt"), size=256, out=PureWindowsPath("C:/out"), more=Namespace(a=1))
    content = {**write.rosinality_state(make())}
    (tmp_path / "a.pt").write_bytes(write.torch_bytes({"g_ema": content, "latent_avg": make().w_avg, "args": settings}))
    assert read_checkpoint(tmp_path / "a.pt").generator().fingerprint == make().fingerprint
    value, _ = unpickle(memoryview(pickle.dumps(settings, protocol)))
    assert isinstance(value, Instance) and value.kind == "argparse.Namespace" and value.state["size"] == 256
    assert isinstance(value.state["ckpt"], Instance) and value.state["ckpt"].kind.startswith("pathlib.")
