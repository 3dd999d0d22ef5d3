"""LPIPS from published files: a backbone from torchvision, and the linear heads in the package lpips.

Nothing in either file is executed, and neither package is imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from latentface.errors import WeightsError
from latentface.io.tensors import is_safetensors, read_tensors
from latentface.networks.lpips import BACKBONES, Lpips
from latentface.pretrained.native import FORMAT
from latentface.pretrained.readers import UNFORESEEN, read_pickled
from latentface.pretrained.readers.checkpoint import check_finite
from latentface.pretrained.readers.errors import Unreadable, damaged
from latentface.pretrained.readers.torchfile import stored

WHAT = "torchvision's vgg16, alexnet or squeezenet1_1 (.pth), or a perceptual network made by latentface"
#: Backbones by torchvision's names, and the names of their heads in the package lpips.
HEADS = {"alexnet": "alex", "vgg16": "vgg", "squeezenet1_1": "squeeze"}
VERSION = "v0.1"  # the heads usually used for LPIPS


def is_backbone(path: Path) -> bool:
    """Whether a file is not one of latentface: it is not safetensors, or does not declare itself as ours."""
    if not path.is_file() or not is_safetensors(path):
        return path.is_file()
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") != FORMAT
    except (safetensors.SafetensorError, OSError, ValueError):
        return False  # damaged: our reader reports it


def read_lpips(path: Path) -> Lpips:
    """LPIPS on the backbone in a file of torchvision (only its convolutions are read), with the published heads.

    Raises:
        WeightsError: the file is missing, damaged or contains another network, or the package lpips is not installed.
    """
    state = _read(path, WHAT)
    names = {name for name in state if name.startswith("features.")}
    backbone = next((name for name, layout in BACKBONES.items() if layout.shapes().keys() == names), None)
    if backbone is None:
        held = ", ".join(sorted(state)[:3]) or "no tensors"
        raise WeightsError(f"{path} contains no backbone of LPIPS ({held}, ...): give {WHAT}")
    convolutions = _load(path, {name: state[name] for name in names})
    network = Lpips(backbone, convolutions | read_heads(backbone))
    return network.eval().requires_grad_(False)


def read_heads(backbone: str) -> dict[str, Tensor]:
    """The linear heads for a backbone: `lin0.weight` [C], `lin1.weight` ...

    Raises:
        WeightsError: the package lpips is not installed, or its files are not as expected.
    """
    path = find_heads(backbone)
    state = _load(path, _read(path, "the weights that come with the package lpips"))
    heads = {name.replace(".model.1.", "."): value.flatten() for name, value in state.items()}
    if {name: tuple(value.shape) for name, value in heads.items()} != BACKBONES[backbone].head_shapes():
        raise WeightsError(f"{path} contains unexpected heads: reinstall the package lpips")
    return heads


def find_heads(backbone: str) -> Path:
    """The file of the heads for a backbone in the package lpips, which is located but not imported.

    Raises WeightsError if it is not installed or lacks the file.
    """
    spec = importlib.util.find_spec("lpips")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "weights" / VERSION / f"{HEADS[backbone]}.pth"
        if path.is_file():
            return path
    raise WeightsError(f"the linear heads of LPIPS on {backbone} are not installed: pip install 'latentface[lpips]'")


def _read(path: Path, what: str) -> Mapping[str, Any]:
    """The entries of a file by name, for `torchfile.stored`."""
    if not path.is_file() or not path.stat().st_size:
        state = "is a folder" if path.is_dir() else "is empty" if path.exists() else "does not exist"
        raise WeightsError(f"{path} {state}: give {what}")
    if is_safetensors(path):
        return read_tensors(path, WeightsError, what)[0]
    try:
        value, budget = read_pickled(path)
        pairs = ((name, stored(each, budget)) for name, each in value.items()) if isinstance(value, dict) else ()
        return {name: each for name, each in pairs if isinstance(name, str) and each is not None}
    except Unreadable as error:
        reason, _, _ = str(error).rpartition(": ")  # the remaining text names files of another kind
        raise WeightsError(f"{path} {reason or error}: give {what}") from error
    except UNFORESEEN as error:
        raise WeightsError(f"{path} {damaged(str(error))}") from error


def _load(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Load the tensors in single precision; all must be finite."""
    try:
        values = [(name, value if isinstance(value, Tensor) else value.load()) for name, value in state.items()]
        tensors = {name: value.float() for name, value in values}
        check_finite(tensors)
    except Unreadable as error:
        raise WeightsError(f"{path} {error}") from error
    except UNFORESEEN as error:
        raise WeightsError(f"{path} {damaged(str(error))}") from error
    return tensors
