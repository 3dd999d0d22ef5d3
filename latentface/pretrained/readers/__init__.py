"""Published StyleGAN2 checkpoints, recognised by content and read without executing anything they contain."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import safetensors

from latentface.errors import WeightsError
from latentface.io.tensors import is_safetensors, read_tensors
from latentface.networks.config import GeneratorConfig
from latentface.pretrained.native import FORMAT, build_from, read_network
from latentface.pretrained.readers.checkpoint import Checkpoint, shell
from latentface.pretrained.readers.errors import Unreadable, damaged
from latentface.pretrained.readers.foreign import refuse_beginning, unknown
from latentface.pretrained.readers.persistence import is_module, read_module
from latentface.pretrained.readers.rosinality import read_states
from latentface.pretrained.readers.tensorflow import is_network, read_networks
from latentface.pretrained.readers.torchfile import LEGACY_START, read_torch
from latentface.pretrained.readers.unpickler import unpickle
from latentface.pretrained.readers.values import Budget

__all__ = ["Checkpoint", "read_checkpoint", "read_pickled"]

#: The readers check what they use; any of these errors still means that the file is malformed.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
WHAT = "a StyleGAN2 network file (.pkl, .pt, .safetensors)"


def read_checkpoint(path: str | os.PathLike[str], encoder: bool = True) -> Checkpoint:
    """Read the StyleGAN2 generator in a file of any known format, which is recognised by content.

    Nothing in the file is executed, and it cannot use more memory than a few times its own size.

    Args:
        path: the file.
        encoder: also read the encoder, if there is one; it is several times as large as the generator.

    Raises:
        WeightsError: the file does not exist, is damaged or unsupported, needs an unknown global, or contains NaN.
    """
    source = Path(path)
    if not source.is_file() or not source.stat().st_size:
        state = "is a folder" if source.is_dir() else "is empty" if source.exists() else "does not exist"
        raise WeightsError(f"{source} {state}: give {WHAT}")
    if is_safetensors(source):
        return _read_safetensors(source)
    try:
        value, budget = read_pickled(source)
        return recognise(value, budget, encoder)
    except Unreadable as error:
        raise WeightsError(f"{source} {error}") from error
    except UNFORESEEN as error:
        raise WeightsError(f"{source} {damaged(str(error))}") from error


def read_pickled(path: Path) -> tuple[Any, Budget]:
    """The value of a pickle or a PyTorch file, with objects only recorded; `torchfile.stored` finds its tensors.

    Raises:
        Unreadable: the file is of neither kind or damaged, or needs a global that is not allowed.
        WeightsError: the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            # memory-mapped, so that only the required one of its three networks is read
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; give {WHAT}") from error
    head, budget = bytes(data[:512]), Budget(len(data))
    if head.startswith((b"PK", LEGACY_START)):
        return read_torch(data, budget), budget
    if head.startswith(b"\x80"):
        return unpickle(data)[0], budget
    refuse_beginning(head)
    raise Unreadable(f"is not a network file of a known format: give {WHAT}")


def recognise(value: Any, budget: Budget, encoder: bool = True) -> Checkpoint:
    """The generator in the content of a file; Unreadable if there is none, or one of another kind."""
    if is_network(value) or (isinstance(value, (tuple, list)) and value and all(map(is_network, value))):
        return read_networks(value, budget)
    if is_module(value):
        return read_module(value, budget)
    if not isinstance(value, dict):
        raise unknown(())
    for key in ("G_ema", "G"):
        if is_module(value.get(key)):
            notes = ("it has no averaged weights (G_ema): G is used",) if key == "G" else ()
            return read_module(value[key], budget, notes)
    return read_states(value, budget, encoder)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            ours = (file.metadata() or {}).get("format", "pt") != "pt"
    except (safetensors.SafetensorError, OSError, ValueError):
        ours = True  # damaged: the reader reports it
    if ours:
        own = read_network(path)
        network = build_from(own, str(path), "generator", lambda config: shell(GeneratorConfig(**config)), assign=True)
        return Checkpoint(FORMAT, network.config, network.state_dict(), base=own.base.fingerprint if own.base else None)
    tensors, _ = read_tensors(path, WeightsError, WHAT)
    try:
        return recognise(tensors, Budget(path.stat().st_size))
    except Unreadable as error:
        raise WeightsError(f"{path} {error}") from error
