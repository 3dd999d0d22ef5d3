"""LPIPS out of what others publish: a backbone of torchvision, and the linear heads that lie in the package lpips.

Nothing in either file is run, and neither package is imported.
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
#: Backbones, by torchvision's names, and what the package lpips calls their heads.
HEADS = {"alexnet": "alex", "vgg16": "vgg", "squeezenet1_1": "squeeze"}
VERSION = "v0.1"  # the heads that LPIPS is measured with


def is_backbone(path: Path) -> bool:
    """Whether a file is one of others: it does not begin as safetensors, or does without saying that it is ours."""
    if not path.is_file() or not is_safetensors(path):
        return path.is_file()
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") != FORMAT
    except (safetensors.SafetensorError, OSError, ValueError):
        return False  # damaged: the reader of ours says so


def read_lpips(path: Path) -> Lpips:
    """LPIPS on the backbone in a file of torchvision (only its convolutions are read), with the published heads.

    Raises:
        WeightsError: the file is missing, damaged or holds another network; the package lpips is not installed.
    """
    state = _read(path, WHAT)
    names = {name for name in state if name.startswith("features.")}
    backbone = next((name for name, layout in BACKBONES.items() if layout.shapes().keys() == names), None)
    if backbone is None:
        held = ", ".join(sorted(state)[:3]) or "no tensors"
        raise WeightsError(f"{path} holds no backbone of LPIPS ({held}, ...): give {WHAT}")
    convolutions = _load(path, {name: state[name] for name in names})
    network = Lpips(backbone, convolutions | read_heads(backbone))
    return network.eval().requires_grad_(False)


def read_heads(backbone: str) -> dict[str, Tensor]:
    """The linear heads for a backbone: `lin0.weight` [C], `lin1.weight` ...

    Raises:
        WeightsError: the package lpips is not installed, or its files are not what they should be.
    """
    path = find_heads(backbone)
    state = _load(path, _read(path, "the weights that come with the package lpips"))
    heads = {name.replace(".model.1.", "."): value.flatten() for name, value in state.items()}
    if {name: tuple(value.shape) for name, value in heads.items()} != BACKBONES[backbone].head_shapes():
        raise WeightsError(f"{path} holds other heads than LPIPS has: reinstall the package lpips")
    return heads


def find_heads(backbone: str) -> Path:
    """Where the package lpips keeps the heads for a backbone; the package is located, not imported.

    Raises WeightsError when it is not installed or lacks the file.
    """
    spec = importlib.util.find_spec("lpips")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "weights" / VERSION / f"{HEADS[backbone]}.pth"
        if path.is_file():
            return path
    raise WeightsError(f"the linear heads of LPIPS on {backbone} are not here: pip install 'latentface[lpips]'")


def _read(path: Path, what: str) -> Mapping[str, Any]:
    """What a file has under each name, as `torchfile.stored` takes it."""
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
        reason, _, _ = str(error).rpartition(": ")  # what follows names files of another kind
        raise WeightsError(f"{path} {reason or error}: give {what}") from error
    except UNFORESEEN as error:
        raise WeightsError(f"{path} {damaged(str(error))}") from error


def _load(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors themselves, in single precision, all of them finite."""
    try:
        values = [(name, value if isinstance(value, Tensor) else value.load()) for name, value in state.items()]
        tensors = {name: value.float() for name, value in values}
        check_finite(tensors)
    except Unreadable as error:
        raise WeightsError(f"{path} {error}") from error
    except UNFORESEEN as error:
        raise WeightsError(f"{path} {damaged(str(error))}") from error
    return tensors
