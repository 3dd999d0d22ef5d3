"""Which runtime serves an estimator: torch, or onnxruntime if the user has quantised it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from latentface.errors import UsageError, WeightsError
from latentface.io.atomic import sha256
from latentface.runtime.estimators import check_kind
from latentface.runtime.quantisation import place
from latentface.runtime.served import Served, read_served

RUNTIMES = ("auto", "onnx", "torch")

_chosen: ContextVar[str] = ContextVar("runtime", default="auto")


@contextmanager
def runtime(name: str) -> Iterator[None]:
    """Find landmarks, expressions and keypoints with this runtime inside the block.

    `onnx` requires that the networks were quantised on this machine; `auto` uses those that were, and torch for the
    others. Raises UsageError for another name.
    """
    if name not in RUNTIMES:
        raise UsageError(f"runtime {name!r}: expected {', '.join(RUNTIMES)}")
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def quantised(path: Path, kind: str, folder: Path, device: str = "cpu") -> Served | None:
    """The int8 form of the network in a file, from the user's cache `folder`; None if torch is to be used.

    Raises:
        WeightsError: the runtime is `onnx` and the network was not quantised, or onnxruntime is not installed.
        UsageError: the runtime is `onnx` and the device is not the CPU.
    """
    chosen = _chosen.get()
    if chosen == "torch" or (chosen == "auto" and (device != "cpu" or not place(folder, "").parent.is_dir())):
        return None
    if device != "cpu":
        raise UsageError(f"--runtime onnx runs on the CPU, and the device is {device}: leave one of them out")
    found = place(folder, _digest(path, path.stat().st_mtime_ns))
    if found.is_file() and (chosen == "onnx" or find_spec("onnxruntime") is not None):
        return open_quantised(found, kind)
    if chosen == "auto":
        return None
    raise WeightsError(
        f"{path.stem} is not quantised on this machine: first run latentface weights quantise {path.stem} "
        "--calibrate FILES, or use --runtime auto"
    )


def open_quantised(path: Path, kind: str) -> Served:
    """A quantised estimator from its file, kept until the file changes; WeightsError if it is of another kind."""
    return _read(path, path.stat().st_mtime_ns, kind)


@lru_cache(maxsize=8)
def _read(path: Path, stamp: int, kind: str) -> Served:
    served = read_served(path)
    check_kind(served.metadata, kind, path)
    return served


@lru_cache(maxsize=16)
def _digest(path: Path, stamp: int) -> str:
    return sha256(path)
