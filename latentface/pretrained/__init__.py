"""Networks with their weights: built-in ones by name, others by file. Nothing is downloaded."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import UnknownNetwork, WeightsError
from latentface.files import sha256
from latentface.pretrained.catalogue import BUILTIN, Entry

if TYPE_CHECKING:  # torch is imported by the functions that need it: the catalogue is read without
    from latentface.networks.generator import Generator
    from latentface.networks.landmarks import LandmarkNet
    from latentface.networks.perceptual import PerceptualNet

__all__ = ["load_generator", "load_landmarks", "load_perceptual", "resolve"]


def load_generator(name_or_path: str | os.PathLike[str] = "synthface-128", device: str = "cpu") -> Generator:
    """A StyleGAN2 generator by built-in name or network file, in evaluation mode, its parameters frozen.

    To tune the network itself, work on a `copy.deepcopy` with `requires_grad_(True)`: its fingerprint changes with it.

    Raises:
        UnknownNetwork: neither a built-in name nor a file.
        WeightsError: the file is damaged, of another kind or in another format.
    """
    from latentface.networks.generator import Generator, GeneratorConfig
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="generator")
    return build_network(path, "generator", lambda config: Generator(GeneratorConfig(**config))).to(device)


def load_landmarks(name_or_path: str | os.PathLike[str] = "landmarks", device: str = "cpu") -> LandmarkNet:
    """The 68-point landmark network; raises as `load_generator`."""
    from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="landmarks")
    return build_network(path, "landmarks", lambda config: LandmarkNet(LandmarkConfig(**config))).to(device)


def load_perceptual(name_or_path: str | os.PathLike[str] = "perceptual", device: str = "cpu") -> PerceptualNet:
    """The small perceptual network of the projector; raises as `load_generator`."""
    from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="perceptual")
    return build_network(path, "perceptual", lambda config: PerceptualNet(PerceptualConfig.from_dict(config))).to(
        device
    )


def resolve(name_or_path: str | os.PathLike[str], kind: str | None = None) -> Path:
    """The file behind a built-in name (its checksum verified) or a path.

    Args:
        kind: only built-in networks of this kind count as known names; None for all.

    Raises:
        UnknownNetwork: neither; the message offers near names.
        WeightsError: the built-in file is missing or damaged.
    """
    name = os.fspath(name_or_path)
    known = {entry.name: entry for entry in BUILTIN if kind in (None, entry.kind)}
    if name in known:
        return _verified(known[name])
    path = Path(name)
    if path.exists():
        return path
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(near)}?" if near else f"built in: {', '.join(known)}"
    raise UnknownNetwork(f"no built-in network and no file is called {name!r}: {offer}")


def _verified(entry: Entry) -> Path:
    if not entry.path.is_file():
        raise WeightsError(f"the built-in network {entry.name} is not at {entry.path}: reinstall latentface")
    digest = sha256(entry.path)
    if digest != entry.sha256:
        raise WeightsError(
            f"the built-in network at {entry.path} is damaged (its SHA-256 is {digest}): reinstall latentface"
        )
    return entry.path
