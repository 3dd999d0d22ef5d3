"""latentface's own network files: safetensors with the network's kind and config, read strictly.

The file of a network grown from a built-in one, or with a built-in one inside, contains only the differences (`Base`).
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from latentface.errors import LatentfaceError, UsageError, WeightsError
from latentface.io.tensors import read_tensors, write_tensors
from latentface.pretrained.packing import pack, unpack

FORMAT = "latentface"
FORMAT_VERSION = "1"
WHAT = "a network file made by latentface (.safetensors)"

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Base:
    """The built-in network that another was grown from or contains.

    Attributes:
        name: its name.
        sha256: of its file.
        fingerprint: of a generator, else empty.
        prefix: of its tensors' names in the other network; empty where that was grown from it and is of its kind.
    """

    name: str
    sha256: str
    fingerprint: str = ""
    prefix: str = ""

    @staticmethod
    def inside(name: str | os.PathLike[str], prefix: str) -> Base | None:
        """The network `name` as a part of another; None for a file, which another machine need not have."""
        from latentface.pretrained.catalogue import BUILTIN  # imported here, because these tables are read through it

        return next((Base(entry.name, entry.sha256, prefix=prefix) for entry in BUILTIN if entry.name == name), None)


@dataclass(frozen=True)
class NativeFile:
    """A network file's content: its kind, its config as plain values, its tensors in float32 by name.

    A file with a base contains only the tensors that differ from it; `state` has all.
    """

    kind: str
    config: dict[str, Any]
    state: dict[str, torch.Tensor]
    base: Base | None = None


def write_network(
    path: str | os.PathLike[str],
    kind: str,
    config: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    dtype: torch.dtype = torch.float16,
    base: Base | None = None,
    exact: tuple[str, ...] = (),
) -> None:
    """Write a network: floating-point tensors in `dtype`, others as they are.

    The type is float16, float32, or int8 for what `packing` makes of them, but for names that begin as `exact` says,
    which stay in float16. With a base, tensors equal to the base's are omitted.

    Raises:
        WeightsError: a tensor contains NaN or infinity, or exceeds the range of `dtype`.
        OutputError: the file cannot be written.
    """
    if dtype not in (torch.float16, torch.float32, torch.int8):
        raise UsageError(f"network files contain torch.float16, torch.float32 or torch.int8, not {dtype}")
    tensors, metadata = dict(state), {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind}
    if base is not None:
        metadata["base"] = json.dumps(asdict(base), sort_keys=True)
        known = _read_base(base, kind, os.fspath(path))
        tensors = {k: v for k, v in tensors.items() if k not in known or not torch.equal(known[k], v.to(known[k]))}
    if dtype == torch.int8:
        tensors = pack(tensors, exact)
    else:
        tensors = {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors.items()}
    _check_finite(tensors, f"cannot write {os.fspath(path)} in {dtype}")
    write_tensors(path, tensors, {**metadata, "config": json.dumps(dict(config), sort_keys=True)})


def read_network(path: str | os.PathLike[str], what: str = WHAT) -> NativeFile:
    """Read a file written by `write_network`; half precision and eight bits become float32.

    Args:
        path: the file.
        what: what the file should be, for messages.

    Raises:
        WeightsError: the file is missing, damaged, of another format or version, has an unreadable config, or contains
            NaN or infinity.
    """
    refuse_foreign(path)
    tensors, header = read_tensors(path, WeightsError, what)
    if header.get("format") != FORMAT or "kind" not in header:
        raise WeightsError(f"{os.fspath(path)} is a safetensors file, but not a latentface network: give {what}")
    if header.get("format_version") != FORMAT_VERSION:
        version = header.get("format_version")
        raise WeightsError(
            f"{os.fspath(path)} has format version {version}, expected {FORMAT_VERSION}: update latentface"
        )
    try:
        config = json.loads(header["config"])
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(f"{os.fspath(path)} has no readable config ({error}): give {what}") from error
    if not isinstance(config, dict):
        raise WeightsError(
            f"{os.fspath(path)} has config {reprlib.repr(config)}, expected names and values: give {what}"
        )
    _check_finite(tensors, f"{os.fspath(path)} is damaged")
    try:
        state = unpack(tensors)
    except ValueError as error:
        raise WeightsError(f"{os.fspath(path)} is damaged ({error}); download it again") from error
    base = _base_of(header, os.fspath(path))
    if base is not None:
        state = {**_read_base(base, header["kind"], os.fspath(path)), **state}
    return NativeFile(header["kind"], config, state, base)


def _base_of(header: Mapping[str, str], source: str) -> Base | None:
    if "base" not in header:
        return None
    try:
        return Base(**json.loads(header["base"]))
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{source} does not say what it was grown from ({error}); download it again") from error


def _read_base(base: Base, kind: str, source: str) -> dict[str, torch.Tensor]:
    """Every tensor of a base; WeightsError, naming `source`, unless exactly that network is built in."""
    from latentface.pretrained import resolve  # imported here, because it reads networks through this module
    from latentface.pretrained.catalogue import BUILTIN

    entries = [entry for entry in BUILTIN if entry.name == base.name and (base.prefix or entry.kind == kind)]
    if not entries or entries[0].sha256 != base.sha256:
        what = "does not include it" if not entries else "has a different network with that name"
        how = "uses" if base.prefix else "was grown from"
        raise WeightsError(f"{source} {how} {base.name}, and this version of latentface {what}: update one of them")
    state = read_network(resolve(base.name, kind=entries[0].kind)).state
    return {f"{base.prefix}{name}": value for name, value in state.items()}


def build_network(path: str | os.PathLike[str], kind: str, build: Callable[[dict[str, Any]], Network]) -> Network:
    """Read the network file at `path`, create the network with `build(config)` and fill it with all tensors.

    Returns:
        The network on the CPU, in evaluation mode, with gradients disabled.

    Raises:
        WeightsError: as for `read_network`; also for another kind, an invalid config, or missing, extra or misshapen
            tensors.
    """
    return build_from(read_network(path), os.fspath(path), kind, build)


def build_from(
    file: NativeFile, source: str, kind: str, build: Callable[[dict[str, Any]], Network], assign: bool = False
) -> Network:
    """`build_network` for a file that has been read; messages name `source`. assign: as for `fill`."""
    if file.kind != kind:
        raise WeightsError(f"{source} contains a network of kind {file.kind!r}, expected {kind!r}: give another file")
    try:
        network = build(file.config)
    except (LatentfaceError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{source} has an unusable config ({' '.join(str(error).split())})") from error
    fill(network, file.state, source, assign)
    return network.eval().requires_grad_(False)


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], source: str, assign: bool = False) -> None:
    """Load `state` into `network`; WeightsError naming `source` unless names and shapes agree exactly.

    Args:
        network: the network to fill.
        state: tensors by name.
        source: the file, for messages.
        assign: use the tensors themselves instead of copies; the network may then be on the meta device.
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
        raise WeightsError(f"{source} does not fit its own config: tensors {', '.join(found)}; download the file again")
    network.load_state_dict(dict(state), assign=assign)


def refuse_foreign(path: str | os.PathLike[str]) -> None:
    """Raise WeightsError for a file whose first bytes show a format other than safetensors."""
    source = Path(path)
    try:
        with source.open("rb") as stream:
            head = stream.read(9)
    except OSError:
        return  # missing, a folder or unreadable: the reader reports it
    names = {b"PK": "a PyTorch checkpoint (.pt)", b"\x80": "a Python pickle (.pkl)", b"\x89HDF": "an HDF5 file"}
    for start, name in names.items():
        if head.startswith(start) and head[8:] != b"{":
            raise WeightsError(f"{source} is {name}, which this version does not read: give {WHAT}")


def _check_finite(tensors: Mapping[str, torch.Tensor], prefix: str) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"{prefix}: tensor {name} {list(value.shape)} contains NaN or infinity; create the file again"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
