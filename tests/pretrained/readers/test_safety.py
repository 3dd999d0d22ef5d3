"""What a hostile file can do to a reader: get refused in one line, and nothing else."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentface.errors import WeightsError
from latentface.pretrained.readers import read_checkpoint
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_bombs import BOMBS
from tests.helpers.checkpoint_refusals import FORMATS, refused
from tests.helpers.checkpoint_writers import make
from tests.helpers.effort import Effort

ROOT = Path(__file__).parents[3]

# --- nothing is run -----------------------------------------------------------------------------------------

CALLS = [
    ("os.system", os.system),
    ("builtins.eval", eval),
    ("builtins.exec", exec),
    ("builtins.getattr", getattr),
    ("subprocess.Popen", subprocess.Popen),
    ("torch.serialization.load", torch.load),
    ("numpy.load", np.load),
    ("torch.nn.modules.linear.Linear", torch.nn.Linear),
]


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.args


def wrapped(call: Call) -> dict[str, bytes]:
    """Files of every kind with the call somewhere inside."""
    blob = io.BytesIO()
    torch.save(call, blob, _use_new_zipfile_serialization=False)
    nested = {"G_ema": write.PersistentModule("Generator", {"_modules": {"mapping": call}}, "")}
    return {
        "pickle": pickle.dumps(call),
        "protocol-0": pickle.dumps(call, 0),
        "module": write.dumps(nested, write.ADA_GLOBALS),
        "zip": write.torch_bytes({"g_ema": {"input.input": call}}),
        "legacy": blob.getvalue(),
        "tensorflow": write.dumps((write.Network(version=4, static_kwargs=call),), write.TF_GLOBALS),
    }


@pytest.mark.parametrize(("name", "function"), CALLS, ids=[name for name, _ in CALLS])
def test_a_foreign_global_is_named_and_never_called(tmp_path: Path, name: str, function: Any) -> None:
    mark = tmp_path / "mark"
    call = Call(function, f"open({str(mark)!r}, 'w')" if name != "os.system" else f"touch {mark}")
    last = function.__qualname__  # the module of some has another name in protocol 2
    for kind, content in wrapped(call).items():
        path = tmp_path / kind
        path.write_bytes(content)
        refused(path, *([last] if kind != "protocol-0" else []))
    assert not mark.exists()


def test_a_foreign_global_in_a_nested_torch_blob_is_refused(tmp_path: Path) -> None:
    """The blob that each tensor of a network pickle carries is a second pickle."""
    mark = tmp_path / "mark"
    blob = io.BytesIO()
    torch.save(Call(os.system, f"touch {mark}"), blob, _use_new_zipfile_serialization=False)

    class Blob:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch.storage._load_from_bytes, (blob.getvalue(),)

    class Tensor:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch._utils._rebuild_tensor_v2, (Blob(), 0, (2, 4, 4), (16, 4, 1), False, {})

    const = write.PersistentModule("Block", {"_parameters": {"const": Tensor()}}, "")
    synthesis = write.PersistentModule("Synthesis", {"_modules": {"b4": const}}, "")
    top = write.PersistentModule("Generator", {"_modules": {"synthesis": synthesis}}, "")
    (tmp_path / "a.pkl").write_bytes(write.dumps({"G_ema": top}, write.ADA_GLOBALS))
    refused(tmp_path / "a.pkl", "posix.system")
    assert not mark.exists()


def test_reading_imports_no_package_that_the_file_names(tmp_path: Path) -> None:
    (tmp_path / "dnnlib").mkdir()
    (tmp_path / "dnnlib" / "__init__.py").write_text(write.trap(tmp_path / "mark"))
    (tmp_path / "a.pkl").write_bytes(write.tensorflow(make(), tmp_path / "mark"))
    sys.path.insert(0, str(tmp_path))
    try:
        read_checkpoint(tmp_path / "a.pkl")
    finally:
        sys.path.remove(str(tmp_path))
    assert not (tmp_path / "mark").exists() and "dnnlib" not in sys.modules


# --- nothing grows ------------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
from pathlib import Path
from latentface.errors import WeightsError
from latentface.pretrained.readers import read_checkpoint
from tests.helpers.effort import Effort
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30), now + (1 << 30)))
for path in sorted(Path(sys.argv[1]).iterdir()):
    effort = Effort()
    try:
        read_checkpoint(path)
        outcome = "read"
    except WeightsError as error:
        outcome = "refused"
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"
    print(path.name, effort.within(90), outcome)
"""


def test_small_files_that_ask_for_gigabytes_or_hours_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bombs"
    folder.mkdir()
    for name, content in BOMBS.items():
        made = content()
        assert len(made) < 3_000_000
        (folder / name).write_bytes(made)
    command = [sys.executable, "-c", LIMITED, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stdout.splitlines() == [f"{name} True refused" for name in sorted(BOMBS)], done.stdout + done.stderr


# --- fuzz ---------------------------------------------------------------------------------------------------


def survives(path: Path, mark: Path) -> None:
    """Reading ends in a network or in one line, soon, and leaves nothing behind."""
    before = sorted(path.parent.iterdir())
    effort = Effort()
    try:
        read_checkpoint(path).generator()
    except WeightsError as error:
        assert "\n" not in str(error)
    assert effort.within(90)
    assert sorted(path.parent.iterdir()) == before and not mark.exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bytes(folder: Path, name: str) -> None:
    content, mark = FORMATS[name](folder / "mark"), folder / "mark"
    source = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(content)
        for at in source.integers(len(content), size=source.integers(1, 9)):
            changed[at] = source.integers(256)
        (folder / "file").write_bytes(changed)
        survives(folder / "file", mark)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(min_size=1, max_size=400), start=st.sampled_from([b"", b"\x80\x04", b"PK\x03\x04"]))
def test_any_bytes(folder: Path, content: bytes, start: bytes) -> None:
    (folder / "any").write_bytes(start + content)
    survives(folder / "any", folder / "mark")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["g_ema", "G_ema", "state_dict", "_modules"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(value=VALUES, part=st.sampled_from(["top", "module", "parameters", "kwargs", "variables", "settings", "g_ema"]))
def test_any_values_in_the_places_of_a_network(folder: Path, value: Any, part: str) -> None:
    """Well-formed pickles of the right classes, with something unexpected inside."""
    held = {"parameters": {"_parameters": value}, "module": value, "kwargs": {"_init_kwargs": value}}
    network = {"version": 4, "static_kwargs": {}, "components": {}, "variables": []}
    contents = {
        "top": lambda: pickle.dumps(value),
        "variables": lambda: write.dumps((write.Network(**{**network, "variables": value}),), write.TF_GLOBALS),
        "settings": lambda: write.dumps((write.Network(**{**network, "static_kwargs": value}),), write.TF_GLOBALS),
        "g_ema": lambda: write.torch_bytes({"g_ema": value, "latent_avg": value}),
    }
    module = {"G_ema": write.PersistentModule("Generator", held.get(part, value), "")}
    (folder / "value").write_bytes(contents.get(part, lambda: write.dumps(module, write.ADA_GLOBALS))())
    survives(folder / "value", folder / "mark")
