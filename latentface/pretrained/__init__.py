"""Networks with their weights: built-in ones and published ones by name, others by file or address."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from latentface.errors import UnknownNetwork, UsageError, WeightsError
from latentface.io.atomic import sha256
from latentface.pretrained import cache, imported
from latentface.pretrained.catalogue import BUILTIN, DEFAULT_GENERATOR, PUBLISHED, Entry

if TYPE_CHECKING:  # torch is imported by the functions that need it: the catalogue is read without
    from latentface.latents.preconditioner import Preconditioner
    from latentface.latents.subspace import Subspace
    from latentface.networks.classifier import EmotionNet
    from latentface.networks.encoder import LatentEncoder
    from latentface.networks.generator import Generator
    from latentface.networks.head_reader import HeadReaderNet
    from latentface.networks.identity import IdentityNet
    from latentface.networks.landmarks import LandmarkNet
    from latentface.networks.lpips import Lpips
    from latentface.networks.motion import MotionModel
    from latentface.networks.mouth import MouthNet
    from latentface.networks.perceptual import PerceptualNet
    from latentface.networks.psp_encoder import PspEncoder
    from latentface.networks.rhythm import RhythmNet

__all__ = [
    "find_encoder",
    "find_expressions",
    "find_preconditioner",
    "load_emotion",
    "load_encoder",
    "load_generator",
    "load_head_reader",
    "load_identity",
    "load_landmarks",
    "load_motion",
    "load_mouth",
    "load_perceptual",
    "load_rhythm",
    "read_expressions",
    "read_preconditioner",
    "resolve",
]

Value = TypeVar("Value", "Subspace", "Preconditioner")
Loaded = TypeVar("Loaded")
Given = ParamSpec("Given")


def _outside_inference_mode(load: Callable[Given, Loaded]) -> Callable[Given, Loaded]:
    """Load as if no `torch.inference_mode` were on: networks outlive its block, and are to be differentiated."""

    @wraps(load)
    def loaded(*arguments: Given.args, **more: Given.kwargs) -> Loaded:
        import torch

        with torch.inference_mode(False):
            return load(*arguments, **more)

    return loaded


@_outside_inference_mode
def load_generator(name_or_path: str | os.PathLike[str] = DEFAULT_GENERATOR, device: str = "cpu") -> Generator:
    """A StyleGAN2 generator by name, address or file of any published format; in evaluation mode, parameters frozen.

    The format is recognised by the file's content, and nothing in the file is run. A setting that the file lacks, or
    that has no effect here, is reported as a Python warning.

    To tune the network itself, work on a `copy.deepcopy` with `requires_grad_(True)`: its fingerprint changes with it.

    Raises:
        UnknownNetwork: neither a known name nor a file.
        WeightsError: the file is damaged, of another kind or in a format that is not supported.
    """
    from latentface.pretrained.readers import read_checkpoint

    path = resolve(name_or_path, kind="generator")
    checkpoint = read_checkpoint(path, encoder=False)
    for note in checkpoint.notes:
        warnings.warn(f"{path}: {note}", stacklevel=3)
    return checkpoint.generator().to(device)


@_outside_inference_mode
def load_encoder(name_or_path: str | os.PathLike[str], device: str = "cpu") -> LatentEncoder | PspEncoder:
    """An encoder of photos into W+, by name, address or file: called with images [N, 3, R, R] in [-1, 1] it gives ws.

    Raises:
        UnknownNetwork: neither a known name nor a file.
        WeightsError: the file is damaged, or holds neither an encoder of ours nor a pSp or e4e one.
    """
    from latentface.io.tensors import is_safetensors
    from latentface.networks.encoder import EncoderConfig, LatentEncoder
    from latentface.pretrained.encoders import read_encoder
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="encoder")
    if is_safetensors(path):
        return build_network(path, "encoder", lambda config: LatentEncoder(EncoderConfig(**config))).to(device)
    return read_encoder(path).to(device)


def find_encoder(*fingerprints: str) -> LatentEncoder | None:
    """The first built-in encoder of a generator with one of these fingerprints, or None when there is none."""
    from latentface.networks.encoder import LatentEncoder

    for entry in BUILTIN:
        if entry.kind == "encoder":
            encoder = load_encoder(entry.name)
            if isinstance(encoder, LatentEncoder) and encoder.config.fingerprint in fingerprints:
                return encoder
    return None


def find_expressions(*fingerprints: str) -> Subspace | None:
    """What expressions move in the W+ of a generator with one of these fingerprints; None when that is not known."""
    return _find("expressions", read_expressions, fingerprints)


@_outside_inference_mode
def read_expressions(name_or_path: str | os.PathLike[str]) -> Subspace:
    """What `training.expressions` wrote, by built-in name or file; raises as `read_preconditioner`."""
    from latentface.latents.subspace import Subspace

    return _read_value(name_or_path, "expressions", Subspace)


def find_preconditioner(*fingerprints: str) -> Preconditioner | None:
    """The built-in preconditioner of a generator with one of these fingerprints, or None when there is none."""
    return _find("preconditioner", read_preconditioner, fingerprints)


@_outside_inference_mode
def read_preconditioner(name_or_path: str | os.PathLike[str]) -> Preconditioner:
    """What `training.preconditioner` wrote, by built-in name or file.

    Raises:
        UnknownNetwork: neither a known name nor a file.
        WeightsError: the file is damaged or something else.
    """
    from latentface.latents.preconditioner import Preconditioner

    return _read_value(name_or_path, "preconditioner", Preconditioner)


def _find(kind: str, read: Callable[[str], Value], fingerprints: Sequence[str]) -> Value | None:
    """The first built-in value of a kind that belongs to a generator with one of these fingerprints."""
    values = (read(entry.name) for entry in BUILTIN if entry.kind == kind)
    return next((value for value in values if value.fingerprint in fingerprints), None)


def _read_value(name_or_path: str | os.PathLike[str], kind: str, build: Callable[..., Value]) -> Value:
    """A value of named tensors and its generator's fingerprint; WeightsError unless the file holds just these."""
    from latentface.pretrained.native import read_network

    path = resolve(name_or_path, kind=kind)
    file = read_network(path)
    if file.kind != kind:
        raise WeightsError(f"{os.fspath(path)} holds no {kind} of a generator (kind {file.kind!r})")
    try:
        return build(**file.state, fingerprint=str(file.config.get("fingerprint")))
    except (UsageError, TypeError) as error:
        raise WeightsError(f"{os.fspath(path)} is damaged: {error}") from error


@_outside_inference_mode
def load_emotion(name_or_path: str | os.PathLike[str] = "emotion", device: str = "cpu") -> EmotionNet:
    """The emotion classifier; raises as `load_generator`."""
    from latentface.networks.classifier import EmotionConfig, EmotionNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="emotion")
    return build_network(path, "emotion", lambda config: EmotionNet(EmotionConfig(**config))).to(device)


@_outside_inference_mode
def load_head_reader(name_or_path: str | os.PathLike[str] = "head-reader", device: str = "cpu") -> HeadReaderNet:
    """The reader of expression and gaze, from which heads are fitted; raises as `load_generator`."""
    from latentface.networks.head_reader import HeadReaderConfig, HeadReaderNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="head-reader")
    return build_network(path, "head-reader", lambda config: HeadReaderNet(HeadReaderConfig(**config))).to(device)


@_outside_inference_mode
def load_identity(name_or_path: str | os.PathLike[str] = "identity", device: str = "cpu") -> IdentityNet:
    """The identity embedding; raises as `load_generator`."""
    from latentface.networks.identity import IdentityConfig, IdentityNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="identity")
    return build_network(path, "identity", lambda config: IdentityNet(IdentityConfig(**config))).to(device)


@_outside_inference_mode
def load_landmarks(name_or_path: str | os.PathLike[str] = "landmarks", device: str = "cpu") -> LandmarkNet:
    """The 68-point landmark network; raises as `load_generator`."""
    from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="landmarks")
    return build_network(path, "landmarks", lambda config: LandmarkNet(LandmarkConfig(**config))).to(device)


@_outside_inference_mode
def load_motion(name_or_path: str | os.PathLike[str] = "synthface-motion", device: str = "cpu") -> MotionModel:
    """A First Order Motion Model by name, address, our own file, or a published checkpoint (vox-cpk.pth.tar).

    Raises as `load_generator`.
    """
    from latentface.networks.motion import MotionConfig, MotionModel
    from latentface.pretrained.motion import is_torch_file, read_published
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="motion")
    if is_torch_file(path):
        return read_published(path).to(device)
    return build_network(path, "motion", lambda config: MotionModel(MotionConfig(**config))).to(device)


@_outside_inference_mode
def load_perceptual(name_or_path: str | os.PathLike[str] = "perceptual", device: str = "cpu") -> PerceptualNet | Lpips:
    """A perceptual distance: called with images a, b [N, 3, H, W] in [-1, 1] it gives [N].

    Args:
        name_or_path: `perceptual`, the small built-in one of the projector, or a file of that kind; or for LPIPS itself
            `vgg16`, `alexnet`, `squeezenet1_1` or torchvision's file of one, its heads taken from the package lpips.
        device: where it computes.

    Raises as `load_generator`, and WeightsError when the heads are not here.
    """
    from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
    from latentface.pretrained.lpips import is_backbone, read_lpips
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="perceptual")
    if is_backbone(path):
        return read_lpips(path).to(device)
    return build_network(path, "perceptual", lambda config: PerceptualNet(PerceptualConfig.from_dict(config))).to(
        device
    )


@_outside_inference_mode
def load_mouth(name_or_path: str | os.PathLike[str] = "mouth", device: str = "cpu") -> MouthNet:
    """The network that paints open mouths, built in or from a file; raises as `load_generator`."""
    from latentface.networks.mouth import MouthConfig, MouthNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="mouth")
    return build_network(path, "mouth", lambda config: MouthNet(MouthConfig(**config))).to(device)


@_outside_inference_mode
def load_rhythm(name_or_path: str | os.PathLike[str] = "rhythm", device: str = "cpu") -> RhythmNet:
    """The network that predicts emotions, built in or made by `latentface sequence fit`; raises as `load_generator`."""
    from latentface.networks.rhythm import RhythmConfig, RhythmNet
    from latentface.pretrained.native import build_network

    path = resolve(name_or_path, kind="rhythm")
    return build_network(path, "rhythm", lambda config: RhythmNet(RhythmConfig(**config))).to(device)


def resolve(name_or_path: str | os.PathLike[str], kind: str | None = None) -> Path:
    """The file behind a built-in (its checksum verified), published or imported network's name, an address or a path.

    Published networks and addresses come from the user's cache, and are downloaded into it when they are not there; see
    `cache.access` for whether that is allowed and who hears of it.

    Args:
        name_or_path: a name, an address or a path.
        kind: only networks of this kind count as known names; None for all. Encoder files hold a generator too.

    Raises:
        UnknownNetwork: none of these, or a network of another kind; the message offers near names.
        WeightsError: the built-in file is missing or damaged; a network is not in the cache and cannot be downloaded.
        OutputError: the cache cannot be written.
    """
    name = os.fspath(name_or_path)
    known = {entry.name: entry for entry in BUILTIN if kind in (None, entry.kind)}
    kinds = (kind, "encoder") if kind == "generator" else (kind,)
    published = {entry.name: entry for entry in PUBLISHED if kind is None or entry.kind in kinds}
    if name in known:
        return _verified(known[name])
    if name in published or cache.is_url(name):
        return cache.obtain(published.get(name) or cache.entry_of(name))
    own = imported.path_of(name) if kind in (None, "generator") else None
    path = own or Path(name)
    if path.exists():
        return path
    near = difflib.get_close_matches(name.lower(), [*known, *published, *imported.names()], n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(near)}?" if near else f"built in: {', '.join(known)}"
    raise UnknownNetwork(f"no {kind or 'network'} and no file is called {name!r}: {offer} (latentface weights list)")


def _verified(entry: Entry) -> Path:
    if not entry.path.is_file():
        raise WeightsError(f"the built-in network {entry.name} is not at {entry.path}: reinstall latentface")
    digest = sha256(entry.path)
    if digest != entry.sha256:
        raise WeightsError(
            f"the built-in network at {entry.path} is damaged (its SHA-256 is {digest}): reinstall latentface"
        )
    return entry.path
