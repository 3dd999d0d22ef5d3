"""Which runtime serves an estimator: torch, or onnxruntime if the user has quantised it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch

from latentface import pretrained
from latentface.errors import UsageError, WeightsError
from latentface.io.atomic import sha256
from latentface.pretrained import cache
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


def quantised(name: str, kind: str, device: str = "cpu") -> Served | None:
    """The int8 form of a network, from the user's cache or the file it names (.onnx); None if torch is to be used.

    Raises:
        WeightsError: the runtime is `onnx` and the network was not quantised, or onnxruntime is not installed, or the
            file cannot be used.
        UsageError: the runtime is `onnx` and the device is not the CPU, or `torch` and the file is an ONNX file.
    """
    chosen, own = _chosen.get(), Path(name).suffix.lower() == ".onnx"
    if own and chosen == "torch":
        raise UsageError(f"--runtime torch cannot run {name}: leave it out, or name the network that was quantised")
    folder = cache.folder()
    nothing = device != "cpu" or not place(folder, "").parent.is_dir()
    if chosen == "torch" or (chosen == "auto" and not own and nothing):
        return None
    if device != "cpu":
        raise UsageError(f"onnxruntime runs on the CPU here, and the device is {device}: leave one of them out")
    path = Path(name) if own else _place_of(name, kind, folder)
    if own or (path is not None and path.is_file() and (chosen == "onnx" or find_spec("onnxruntime") is not None)):
        assert path is not None
        return _read(path, path.stat().st_mtime_ns if path.is_file() else 0, kind)
    if chosen == "auto":
        return None
    raise WeightsError(
        f"{name} is not quantised on this machine: first run latentface weights quantise {name} --calibrate FILES, or "
        "use --runtime auto"
    )


def forget() -> None:
    """Release all quantised networks."""
    _read.cache_clear()


def _place_of(name: str, kind: str, folder: Path) -> Path | None:
    """Where the cache keeps the int8 form of a network; None for dlib68, which is a predictor of another package."""
    if name == "dlib68":
        return None
    path = pretrained.resolve(name, kind=kind)
    return place(folder, _digest(path, path.stat().st_mtime_ns)) if path.is_file() else None


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _read(path: Path, stamp: int, kind: str) -> Served:
    return read_served(path, kind)


@lru_cache(maxsize=16)
def _digest(path: Path, stamp: int) -> str:
    return sha256(path)
