"""Networks with weights: built-in and published ones by name, others by file or URL."""

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
from latentface.pretrained.catalogue import BUILTIN, DEFAULT_GENERATOR, Entry
from latentface.pretrained.published import PUBLISHED

if TYPE_CHECKING:  # torch is imported in the functions that need it, because the catalogue is used without it
    from torch import nn

    from latentface.latents.preconditioner import Preconditioner
    from latentface.latents.subspace import Subspace
    from latentface.networks.classifier import EmotionNet
    from latentface.networks.completion import CompletionNet
    from latentface.networks.encoder import LatentEncoder
    from latentface.networks.generator import Generator
    from latentface.networks.head_reader import HeadReaderNet
    from latentface.networks.identity import IdentityNet
    from latentface.networks.landmarks import LandmarkNet
    from latentface.networks.lpips import Lpips
    from latentface.networks.mark import MarkNets
    from latentface.networks.matte import MatteNet
    from latentface.networks.motion import MotionModel
    from latentface.networks.mouth import MouthNet
    from latentface.networks.occluders import OccluderNet
    from latentface.networks.perceptual import PerceptualNet
    from latentface.networks.psp_encoder import PspEncoder
    from latentface.networks.retargeting import RetargetNet
    from latentface.networks.rhythm import RhythmNet
    from latentface.networks.spectacles import SpectaclesNet
    from latentface.networks.translation import TranslationNet
    from latentface.networks.vid2vid import Vid2VidModel

__all__ = [
    "find_encoder",
    "find_expressions",
    "find_preconditioner",
    "load_completion",
    "load_emotion",
    "load_encoder",
    "load_generator",
    "load_head_reader",
    "load_identity",
    "load_landmarks",
    "load_mark",
    "load_matte",
    "load_motion",
    "load_mouth",
    "load_occluders",
    "load_perceptual",
    "load_retargeting",
    "load_rhythm",
    "load_spectacles",
    "load_translation",
    "load_vid2vid",
    "read_expressions",
    "read_preconditioner",
    "resolve",
]

Value = TypeVar("Value", "Subspace", "Preconditioner")
Loaded = TypeVar("Loaded")
Network = TypeVar("Network", bound="nn.Module")
Config = TypeVar("Config")
Given = ParamSpec("Given")


def _outside_inference_mode(load: Callable[Given, Loaded]) -> Callable[Given, Loaded]:
    """Load outside `torch.inference_mode`, because networks outlive its block and must be differentiable."""

    @wraps(load)
    def loaded(*arguments: Given.args, **more: Given.kwargs) -> Loaded:
        import torch

        with torch.inference_mode(False):
            return load(*arguments, **more)

    return loaded


@_outside_inference_mode
def load_generator(name_or_path: str | os.PathLike[str] = DEFAULT_GENERATOR, device: str = "cpu") -> Generator:
    """Load a StyleGAN2 generator by name, URL or file of any published format; evaluation mode, parameters frozen.

    The format is recognised by the file's content, and no code in the file is executed. A setting that is missing in
    the file, or that has no effect here, is reported as a Python warning.

    To train the network, use a `copy.deepcopy` with `requires_grad_(True)`; its fingerprint changes with its weights.

    Raises:
        UnknownNetwork: this is neither a known name nor a file.
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
    """Load an encoder of photos into W+ by name, URL or file; it maps images [N, 3, R, R] in [-1, 1] to ws.

    Raises:
        UnknownNetwork: this is neither a known name nor a file.
        WeightsError: the file is damaged, or contains neither a latentface encoder nor a pSp or e4e one.
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
    """The first built-in encoder of a generator with one of these fingerprints, or None."""
    from latentface.networks.encoder import LatentEncoder

    for entry in BUILTIN:
        if entry.kind == "encoder":
            encoder = load_encoder(entry.name)
            if isinstance(encoder, LatentEncoder) and encoder.config.fingerprint in fingerprints:
                return encoder
    return None


def find_expressions(*fingerprints: str) -> Subspace | None:
    """The subspace that expressions move in W+, for a generator with one of these fingerprints, or None."""
    return _find("expressions", read_expressions, fingerprints)


@_outside_inference_mode
def read_expressions(name_or_path: str | os.PathLike[str]) -> Subspace:
    """Read the output of `training.expressions` by built-in name or file; raises as `read_preconditioner`."""
    from latentface.latents.subspace import Subspace

    return _read_value(name_or_path, "expressions", Subspace)


def find_preconditioner(*fingerprints: str) -> Preconditioner | None:
    """The built-in preconditioner of a generator with one of these fingerprints, or None."""
    return _find("preconditioner", read_preconditioner, fingerprints)


@_outside_inference_mode
def read_preconditioner(name_or_path: str | os.PathLike[str]) -> Preconditioner:
    """Read the output of `training.preconditioner` by built-in name or file.

    Raises:
        UnknownNetwork: this is neither a known name nor a file.
        WeightsError: the file is damaged or of another kind.
    """
    from latentface.latents.preconditioner import Preconditioner

    return _read_value(name_or_path, "preconditioner", Preconditioner)


@_outside_inference_mode
def _load(
    name_or_path: str | os.PathLike[str], kind: str, build: Callable[[Config], Network], config: Callable[..., Config]
) -> Network:
    """A network by name or file, built from the fields of its configuration that the file holds."""
    from latentface.pretrained.native import build_network

    return build_network(resolve(name_or_path, kind=kind), kind, lambda fields: build(config(**fields)))


def _find(kind: str, read: Callable[[str], Value], fingerprints: Sequence[str]) -> Value | None:
    """The first built-in value of a kind that belongs to a generator with one of these fingerprints."""
    values = (read(entry.name) for entry in BUILTIN if entry.kind == kind)
    return next((value for value in values if value.fingerprint in fingerprints), None)


def _read_value(name_or_path: str | os.PathLike[str], kind: str, build: Callable[..., Value]) -> Value:
    """A value of named tensors with a fingerprint; WeightsError unless the file contains exactly these."""
    from latentface.pretrained.native import read_network

    path = resolve(name_or_path, kind=kind)
    file = read_network(path)
    if file.kind != kind:
        raise WeightsError(f"{os.fspath(path)} contains no {kind} of a generator (kind {file.kind!r})")
    try:
        return build(**file.state, fingerprint=str(file.config.get("fingerprint")))
    except (UsageError, TypeError) as error:
        raise WeightsError(f"{os.fspath(path)} is damaged: {error}") from error


def load_emotion(name_or_path: str | os.PathLike[str] = "emotion", device: str = "cpu") -> EmotionNet:
    """Load the emotion classifier; raises as `load_generator`."""
    from latentface.networks.classifier import EmotionConfig, EmotionNet

    return _load(name_or_path, "emotion", EmotionNet, EmotionConfig).to(device)


def load_head_reader(name_or_path: str | os.PathLike[str] = "head-reader", device: str = "cpu") -> HeadReaderNet:
    """Load the network that estimates expression and gaze for the fit of heads; raises as `load_generator`."""
    from latentface.networks.head_reader import HeadReaderConfig, HeadReaderNet

    return _load(name_or_path, "head-reader", HeadReaderNet, HeadReaderConfig).to(device)


def load_identity(name_or_path: str | os.PathLike[str] = "identity", device: str = "cpu") -> IdentityNet:
    """Load the identity embedding; raises as `load_generator`."""
    from latentface.networks.identity import IdentityConfig, IdentityNet

    return _load(name_or_path, "identity", IdentityNet, IdentityConfig).to(device)


def load_landmarks(name_or_path: str | os.PathLike[str] = "landmarks", device: str = "cpu") -> LandmarkNet:
    """Load the 68-point landmark network; raises as `load_generator`."""
    from latentface.networks.landmarks import LandmarkConfig, LandmarkNet

    return _load(name_or_path, "landmarks", LandmarkNet, LandmarkConfig).to(device)


@_outside_inference_mode
def load_motion(name_or_path: str | os.PathLike[str] = "face-motion", device: str = "cpu") -> MotionModel:
    """Load a First Order Motion Model by name, URL, latentface file, or published checkpoint (vox-cpk.pth.tar).

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
def load_vid2vid(name_or_path: str | os.PathLike[str] = "vid2vid", device: str = "cpu") -> Vid2VidModel:
    """Load a free-view talking head by name, URL, latentface file, or published checkpoint (.pth.tar).

    Raises as `load_generator`.
    """
    from latentface.networks.vid2vid import Vid2VidConfig, Vid2VidModel
    from latentface.pretrained.motion import is_torch_file
    from latentface.pretrained.native import build_network
    from latentface.pretrained.vid2vid import read_published

    path = resolve(name_or_path, kind="vid2vid")
    if is_torch_file(path):
        return read_published(path).to(device)
    return build_network(path, "vid2vid", lambda config: Vid2VidModel(Vid2VidConfig(**config))).to(device)


@_outside_inference_mode
def load_perceptual(name_or_path: str | os.PathLike[str] = "perceptual", device: str = "cpu") -> PerceptualNet | Lpips:
    """Load a perceptual distance, which maps images a, b [N, 3, H, W] in [-1, 1] to [N].

    Args:
        name_or_path: `perceptual`, the small built-in one of the projector, or a file of that kind; or, for LPIPS
            itself, `vgg16`, `alexnet`, `squeezenet1_1` or a file of one by torchvision, with the heads from the package
            lpips.
        device: the device of the network.

    Raises as `load_generator`, and WeightsError if the heads are not installed.
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


def load_mark(name_or_path: str | os.PathLike[str] = "mark", device: str = "cpu") -> MarkNets:
    """Load the networks of the invisible mark, built in or from a file; raises as `load_generator`."""
    from latentface.networks.mark import MarkConfig, MarkNets

    return _load(name_or_path, "mark", MarkNets, MarkConfig).to(device)


def load_completion(name_or_path: str | os.PathLike[str] = "completion", device: str = "cpu") -> CompletionNet:
    """Load the network that completes faces, built in or from a file; raises as `load_generator`."""
    from latentface.networks.completion import CompletionConfig, CompletionNet

    return _load(name_or_path, "completion", CompletionNet, CompletionConfig).to(device)


def load_matte(name_or_path: str | os.PathLike[str] = "matte", device: str = "cpu") -> MatteNet:
    """Load the network that tells people from backgrounds, built in or from a file; raises as `load_generator`."""
    from latentface.networks.matte import MatteConfig, MatteNet

    return _load(name_or_path, "matte", MatteNet, MatteConfig).to(device)


def load_translation(path: str | os.PathLike[str], device: str = "cpu") -> TranslationNet:
    """Load a network that translates between two kinds of pictures, from a file; raises as `load_generator`."""
    from latentface.networks.translation import TranslationConfig, TranslationNet

    return _load(path, "translation", TranslationNet, TranslationConfig).to(device)


def load_occluders(name_or_path: str | os.PathLike[str] = "occluders", device: str = "cpu") -> OccluderNet:
    """Load the network that finds what is in front of a face, built in or from a file; raises as `load_generator`."""
    from latentface.networks.occluders import OccluderConfig, OccluderNet

    return _load(name_or_path, "occluders", OccluderNet, OccluderConfig).to(device)


def load_spectacles(name_or_path: str | os.PathLike[str] = "spectacles", device: str = "cpu") -> SpectaclesNet:
    """Load the network that finds spectacles, built in or from a file; raises as `load_generator`."""
    from latentface.networks.spectacles import SpectaclesConfig, SpectaclesNet

    return _load(name_or_path, "spectacles", SpectaclesNet, SpectaclesConfig).to(device)


def load_mouth(name_or_path: str | os.PathLike[str] = "mouth", device: str = "cpu") -> MouthNet:
    """Load the network that paints open mouths, built in or from a file; raises as `load_generator`."""
    from latentface.networks.mouth import MouthConfig, MouthNet

    return _load(name_or_path, "mouth", MouthNet, MouthConfig).to(device)


def load_retargeting(path: str | os.PathLike[str], device: str = "cpu") -> RetargetNet:
    """Load a network for retargeting that `train retarget` made; raises as `load_generator`."""
    from latentface.networks.retargeting import RetargetConfig, RetargetNet

    return _load(path, "retarget", RetargetNet, RetargetConfig).to(device)


def load_rhythm(name_or_path: str | os.PathLike[str] = "rhythm", device: str = "cpu") -> RhythmNet:
    """Load the network that predicts emotions, built in or made by `sequence fit`; raises as `load_generator`."""
    from latentface.networks.rhythm import RhythmConfig, RhythmNet

    return _load(name_or_path, "rhythm", RhythmNet, RhythmConfig).to(device)


def resolve(name_or_path: str | os.PathLike[str], kind: str | None = None) -> Path:
    """The file for the name of a built-in (verified by checksum), published or imported network, a URL or a path.

    Published networks and URLs come from the user's cache and are downloaded into it if necessary; `cache.access`
    controls whether that is allowed, and its callbacks.

    Args:
        name_or_path: a name, a URL or a path.
        kind: only networks of this kind count as known names; None for all. Encoder files also contain a generator.

    Raises:
        UnknownNetwork: none of these, or a network of another kind; the message suggests similar names.
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
    offer = f"did you mean {' or '.join(near)}?" if near else "check the path"
    if known and not near:
        offer = f"built in: {', '.join(known)}"
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
