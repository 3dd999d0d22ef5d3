"""The package's own network files: safetensors with the network's kind and config inside, read strictly."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from latentface.errors import LatentfaceError, UsageError, WeightsError
from latentface.tensorfile import read_tensors, write_tensors

FORMAT = "latentface"
FORMAT_VERSION = "1"
WHAT = "a network file made by latentface (.safetensors)"

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class NativeFile:
    """A network file's content: its kind, its config as plain values, its tensors in float32 by name."""

    kind: str
    config: dict[str, Any]
    state: dict[str, torch.Tensor]


def write_network(
    path: str | os.PathLike[str],
    kind: str,
    config: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network: floating-point tensors in `dtype` (float16 or float32), others as they are.

    Raises:
        WeightsError: a tensor holds NaN or infinity, or leaves the range of `dtype`.
        OutputError: the file cannot be written.
    """
    if dtype not in (torch.float16, torch.float32):
        raise UsageError(f"network files hold torch.float16 or torch.float32, not {dtype}")
    tensors = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    _check_finite(tensors, f"cannot write {os.fspath(path)} in {dtype}")
    metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind}
    write_tensors(path, tensors, {**metadata, "config": json.dumps(dict(config), sort_keys=True)})


def read_network(path: str | os.PathLike[str]) -> NativeFile:
    """Read a file that `write_network` wrote; half precision becomes float32.

    Raises:
        WeightsError: missing, damaged, foreign or newer file, unreadable config, NaN or infinity in a tensor.
    """
    refuse_foreign(path)
    tensors, header = read_tensors(path, WeightsError, WHAT)
    if header.get("format") != FORMAT or "kind" not in header:
        raise WeightsError(f"{os.fspath(path)} is a safetensors file, but not a network of ours: give {WHAT}")
    if header.get("format_version") != FORMAT_VERSION:
        version = header.get("format_version")
        raise WeightsError(
            f"{os.fspath(path)} has format version {version}, expected {FORMAT_VERSION}: update latentface"
        )
    try:
        config = json.loads(header["config"])
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{os.fspath(path)} has no readable config ({error}): give {WHAT}") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{os.fspath(path)} has config {config!r}, expected names and values: give {WHAT}")
    _check_finite(tensors, f"{os.fspath(path)} is damaged")
    state = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    return NativeFile(header["kind"], config, state)


def build_network(
    path: str | os.PathLike[str], kind: str, build: Callable[[dict[str, Any]], Network], assign: bool = False
) -> Network:
    """Read the network file at `path`, make the network with `build(config)` and fill it, every tensor exactly once.

    Args:
        assign: as for `fill`.

    Returns:
        The network on the CPU, in evaluation mode, its parameters not asking for gradients.

    Raises:
        WeightsError: as `read_network`; another kind; a refused config; missing, extra or misshapen tensors.
    """
    file = read_network(path)
    if file.kind != kind:
        raise WeightsError(
            f"{os.fspath(path)} holds a network of kind {file.kind!r}, expected {kind!r}: give another file"
        )
    try:
        network = build(file.config)
    except (LatentfaceError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{os.fspath(path)} has an unusable config ({' '.join(str(error).split())})") from error
    fill(network, file.state, os.fspath(path), assign)
    return network.eval().requires_grad_(False)


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], source: str, assign: bool = False) -> None:
    """Load `state` into `network`; WeightsError naming `source` unless names and shapes agree exactly.

    Args:
        assign: the network takes the tensors themselves instead of copies; its own may then lie on the meta device.
    """
    expected = network.state_dict()
    problems = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "misshapen": [
            f"{name} {list(state[name].shape)} instead of {list(value.shape)}"
            for name, value in sorted(expected.items())
            if name in state and state[name].shape != value.shape
        ],
    }
    found = [f"{len(names)} {problem} ({_some(names)})" for problem, names in problems.items() if names]
    if found:
        raise WeightsError(f"{source} does not fit its own config: tensors {', '.join(found)}; get the file again")
    network.load_state_dict(dict(state), assign=assign)


def refuse_foreign(path: str | os.PathLike[str]) -> None:
    """Raise WeightsError for a file whose first bytes show another format than safetensors."""
    source = Path(path)
    try:
        with source.open("rb") as stream:
            head = stream.read(9)
    except OSError:
        return  # missing, a folder, not readable: the reader says so
    names = {b"PK": "a PyTorch checkpoint (.pt)", b"\x80": "a Python pickle (.pkl)", b"\x89HDF": "an HDF5 file"}
    for start, name in names.items():
        if head.startswith(start) and head[8:] != b"{":
            raise WeightsError(f"{source} is {name}, which this version does not read: give {WHAT}")


def _check_finite(tensors: Mapping[str, torch.Tensor], prefix: str) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"{prefix}: tensor {name} {list(value.shape)} holds NaN or infinity; make the file again"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
