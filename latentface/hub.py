"""Opens the networks, latents and directions that `api` works with, by name or file.

Loaded networks are kept for each name and device, so a second call costs nothing; `forget` releases them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

from latentface import pretrained
from latentface.arrays import FloatArray, Pixels
from latentface.directions.meaning import is_known
from latentface.emotions import recognition
from latentface.emotions.recognition import Recogniser
from latentface.errors import LatentMismatch, UsageError
from latentface.faces import alignment, dlib_landmarks
from latentface.faces.crop import WhichFace
from latentface.faces.expression_measures import crop_landmarks
from latentface.faces.people import People
from latentface.faces.person_tracker import PersonTracker
from latentface.fusion.objective import FaceNetworks
from latentface.head.in_front import Finders
from latentface.head.model import HeadModel
from latentface.head.reader import HeadReader
from latentface.inversion.search import WStatistics, measure_w
from latentface.io.tensors import is_safetensors
from latentface.latents.latent import Direction, Latent, check_fingerprint, extended
from latentface.latents.preconditioner import Preconditioner
from latentface.latents.subspace import Subspace
from latentface.networks.encoder import LatentEncoder
from latentface.networks.precision import multiplies_bfloat16
from latentface.pretrained import directions as library
from latentface.pretrained.catalogue import BUILTIN, DEFAULT_GENERATOR
from latentface.runtime import choice
from latentface.runtime.choice import runtime as runtime
from latentface.runtime.served import ServedHeadReader, ServedLandmarks, with_keypoints

if TYPE_CHECKING:
    from latentface.faces.alignment import LandmarkPredictor
    from latentface.networks.classifier import EmotionNet
    from latentface.networks.completion import CompletionNet
    from latentface.networks.generator import Generator
    from latentface.networks.identity import IdentityNet
    from latentface.networks.landmarks import LandmarkNet
    from latentface.networks.mark import MarkNets
    from latentface.networks.motion import MotionModel
    from latentface.networks.mouth import MouthNet
    from latentface.networks.perceptual import FeatureDistance
    from latentface.networks.psp_encoder import PspEncoder
    from latentface.networks.retargeting import RetargetNet
    from latentface.networks.rhythm import RhythmNet
    from latentface.networks.translation import TranslationNet
    from latentface.networks.vid2vid import Vid2VidModel

MOST_STATISTICS = 8  # networks whose statistics are kept, a megabyte each
_W_STATISTICS: dict[tuple[str, str], WStatistics] = {}
_RELEASES: list[Callable[[], None]] = []
_Load = TypeVar("_Load", bound=Callable[..., Any])


def _kept(most: int = 1) -> Callable[[_Load], _Load]:
    """Keep what a function loads, for so many different arguments, until `forget`.

    It is loaded outside inference mode, so that it can be used in and outside it.
    """

    def keep(load: _Load) -> _Load:
        kept = lru_cache(maxsize=most)(torch.inference_mode(False)(load))
        _RELEASES.append(kept.cache_clear)
        return cast(_Load, kept)

    return keep


def pick_device(name: str = "auto") -> str:
    """The device to compute on; `auto` is a GPU if torch finds one, and the CPU otherwise.

    Raises UsageError for a device that torch does not know or that is not available on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device {name!r}; expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is not supported; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UsageError(f"no device {name!r} here: torch sees {found} CUDA devices; choose another or use cpu")
    return str(device)


def load_generator(network: str | os.PathLike[str] = DEFAULT_GENERATOR, device: str = "cpu") -> Generator:
    """Load a StyleGAN2 generator by name, file or URL onto a device, and keep it for the next call.

    Returns:
        `Generator` in evaluation mode. It is shared, so do not change its parameters.

    Raises:
        UnknownNetwork: there is neither a network (similar names are suggested) nor a file with this name.
        WeightsError: the file cannot be used.
        UsageError: the device does not exist on this machine.
    """
    return _generator(os.fspath(network), _stamp(network), pick_device(device))


def load_animator(network: str | os.PathLike[str] = "face-motion", device: str = "cpu") -> MotionModel:
    """Load a First Order Motion Model by built-in or published name or by file, optimised for inference, and keep it.

    Returns:
        `MotionModel` with the methods `keypoints(image)` -> value [N, K, 2], jacobian [N, K, 2, 2] and
        `render(source, source_keypoints, driving_keypoints)` -> prediction, deformed, occlusion; pictures in [-1, 1].

    Raises: as for `load_generator`.
    """
    device = pick_device(device)
    model = _animator(os.fspath(network), _stamp(network), device)
    served = choice.quantised(os.fspath(network), "motion", device)
    return model if served is None else with_keypoints(model, served)


def load_talking_head(network: str | os.PathLike[str] = "vid2vid", device: str = "cpu") -> Vid2VidModel:
    """Load a free-view talking head by built-in name or by file, a published checkpoint among them, and keep it.

    Returns:
        `Vid2VidModel` with the methods `keypoints(image)` -> the state of the head, and
        `render(source, source_head, driving_head)` -> prediction, deformed, occlusion; pictures in [-1, 1].

    Raises: as for `load_generator`.
    """
    return _talking_head(os.fspath(network), _stamp(network), pick_device(device))


def landmark_predictor(landmarks: str = "builtin") -> LandmarkPredictor:
    """Load a predictor of 68 landmarks: `builtin`, `dlib68` (from face_recognition_models), a name or a file.

    Args:
        landmarks: one of these two; `landmarks` or another network of that kind in `latentface weights list`, such as
            `dlib-68`; a network file of latentface, also a quantised one (.onnx); or a dlib shape predictor, .dat or
            .dat.bz2.

    Raises UnknownNetwork or WeightsError if it cannot be found or read.
    """
    served = choice.quantised("landmarks" if landmarks == "builtin" else landmarks, "landmarks")
    if served is not None:
        return alignment.BuiltinLandmarks(ServedLandmarks(served))
    return _landmarks(landmarks, _stamp(landmarks))


def find_recogniser(name: str = "emotion", device: str = "cpu") -> Recogniser:
    """Load an emotion classifier: the built-in network, a file, or your own `package.module:NAME` or `FILE.py:NAME`.

    Raises:
        UsageError: the code does not exist or is not a recogniser.
        UnknownNetwork, WeightsError: the network cannot be used.
    """
    place, _, attribute = name.rpartition(":")
    if place and attribute.isidentifier() and not Path(name).exists():
        return recognition.plugged_in(name)
    return recognition.of_network(pretrained.load_emotion(name, device=pick_device(device)))


def face_networks(device: str = "cpu") -> FaceNetworks:
    """The built-in networks that analyse faces, for `transfer` and its evaluation."""
    identity, emotion, landmarks = _faces(device)
    return FaceNetworks(
        identity=identity,
        emotion=emotion.features,
        landmarks=lambda crops: crop_landmarks(landmarks, crops),
        perceptual=perceptual(device),
    )


def embed_faces(crops: Pixels) -> FloatArray:
    """Identity embeddings, unit vectors [N, D], of crops, uint8 RGB [N, S, S, 3]: see `networks.identity`."""
    network = _faces("cpu")[0]
    with torch.inference_mode():
        found: FloatArray = network(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()
    return found


def person_tracker(
    who: WhichFace = None, landmarks: str = "builtin", name: str = "the clip", *, lone: bool = True
) -> PersonTracker:
    """Follow one person through a clip; see `PersonTracker`. landmarks: as `landmark_predictor` takes it."""
    return PersonTracker(People(landmark_predictor(landmarks), embed_faces), who, name, lone=lone)


def load_latent(path: str | os.PathLike[str], generator: Generator | None = None) -> Latent:
    """Read a latent file and, if a generator is given, check that the latent belongs to it.

    Raises:
        InputError: the file is missing or malformed.
        LatentMismatch: the latent belongs to another generator.
    """
    latent = Latent.load(path)
    if generator is not None:
        check_latent(latent, generator, os.fspath(path))
    return latent


def check_latent(latent: Latent, generator: Generator, name: str = "the latent") -> None:
    """Raise LatentMismatch unless the latent belongs to the generator (their fingerprints agree)."""
    check_latents([latent], generator, name)


def check_latents(latents: Iterable[Latent], generator: Generator, name: str = "the latent") -> None:
    """Raise LatentMismatch unless all latents belong to the generator, whose fingerprint is computed only once."""
    own = generator.fingerprint
    for latent in latents:
        check_fingerprint(latent, own, name)


def list_directions(generator: Generator, file: str | os.PathLike[str] | None = None) -> dict[str, Direction]:
    """All directions of this generator by name: the built-in ones and the user's own, or those in a file.

    Raises:
        WeightsError: the file is missing or damaged, or contains no directions.
        LatentMismatch: it contains directions of another network.
    """
    lineage = _lineage(generator)
    if file is None:
        found = {name: each for key in lineage for name, each in library.find_directions(key).items()}
    else:
        found = library.read_directions(file)
        if any(each.fingerprint not in lineage for each in found.values()):
            raise LatentMismatch(
                f"{os.fspath(file)} has directions of another network; use that network, or fit new ones"
            )
    return {name: each.extended(generator.config.num_ws, lineage[-1]) for name, each in found.items()}


def has_known_meaning(direction: Direction, generator: Generator) -> bool:
    """Whether a direction is built in, so that `directions.meaning` knows its effect."""
    found = {name: each for key in _lineage(generator) for name, each in library.built_in(key).items()}
    own = found.get(direction.name)
    if own is None or not is_known(direction.name):
        return False
    return torch.equal(own.extended(generator.config.num_ws, generator.fingerprint).values, direction.values)


def _lineage(generator: Generator) -> tuple[str, ...]:
    """Fingerprints of the networks that share the meaning of latents: those it was grown from, and its own last."""
    return (generator.fingerprint,) if generator.base is None else (generator.base, generator.fingerprint)


def load_direction(name: str, generator: Generator, file: str | os.PathLike[str] | None = None) -> Direction:
    """A direction in this generator's W+ space by name, such as "happiness", for `latent + strength * direction`.

    Strength 1 is one standard deviation of the generator's own w along the direction.

    Raises:
        UsageError: there is no direction with that name; similar names are suggested.
        WeightsError, LatentMismatch: as for `list_directions`.
    """
    where = "this network" if file is None else os.fspath(file)
    return library.pick(name, list_directions(generator, file), where)


def encoder(generator: Generator) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The built-in encoder of the network or its base: crops [N, 3, S, S] -> ws [N, num_ws, w_dim].

    Returns None if there is none.
    """
    found = _encoder(_lineage(generator), str(generator.w_avg.device))
    return None if found is None else lambda crops: extended(found(crops), generator.config.num_ws)


def named_encoder(name: str | os.PathLike[str], generator: Generator) -> Callable[[torch.Tensor], torch.Tensor]:
    """An encoder by name or file, for this network: crops [N, 3, S, S] -> ws [N, num_ws, w_dim].

    Published pSp and e4e files do not say which generator they belong to beyond the shape of its latents.

    Raises:
        UnknownNetwork, WeightsError: as for `pretrained.load_encoder`.
        LatentMismatch: it belongs to another network.
    """
    found = _named_encoder(os.fspath(name), _stamp(name), str(generator.w_avg.device))
    config = generator.config
    if isinstance(found, LatentEncoder):
        if found.config.fingerprint not in _lineage(generator):
            raise LatentMismatch(f"{name} is the encoder of another network; name one of this network")
        return lambda crops: extended(found(crops), config.num_ws)
    shape = tuple(found.latent_avg.shape)
    if shape != (config.num_ws, config.w_dim):
        raise LatentMismatch(
            f"{name} gives latents {list(shape)}, and this network takes {[config.num_ws, config.w_dim]}: use the "
            "network that the encoder was trained for"
        )
    return found


def expressions(generator: Generator) -> Subspace | None:
    """The subspace of W+ that expressions move, if it is known for the network or its base; None otherwise."""
    found = _expressions(_lineage(generator))
    return None if found is None else found.extended(generator.config.num_ws, generator.fingerprint)


def preconditioner(generator: Generator, name: str = "auto") -> Preconditioner | None:
    """The preconditioner of searches in the network's W+, or None.

    Args:
        generator: the network.
        name: "auto" for the built-in one of the network or its base, if there is one; "none"; or a built-in name or
            file.

    Raises:
        UnknownNetwork, WeightsError: the file does not exist or contains something else.
        LatentMismatch: it belongs to another network.
    """
    if name == "none":
        return None
    lineage = _lineage(generator)
    found = _preconditioner(lineage) if name == "auto" else pretrained.read_preconditioner(name)
    if found is None:
        return None
    if found.fingerprint not in lineage:
        raise LatentMismatch(f"{name} is the preconditioner of another network; make one for this network")
    return found.extended(generator.config.num_ws, lineage[-1])


def w_statistics(generator: Generator) -> WStatistics:
    """Statistics of the w of a network, which are measured once for its weights."""
    key = (generator.fingerprint, str(generator.w_avg.device))
    if key not in _W_STATISTICS:
        if len(_W_STATISTICS) == MOST_STATISTICS:
            _W_STATISTICS.clear()
        _W_STATISTICS[key] = measure_w(generator)
    return _W_STATISTICS[key]


@_kept(4)
def perceptual(device: str) -> FeatureDistance:
    """The built-in perceptual distance."""
    return pretrained.load_perceptual().to(device)


@_kept()
def head_model() -> HeadModel:
    """The built-in morphable head."""
    return HeadModel.load(pretrained.resolve("head", kind="head"))


def head_reader(device: str = "cpu") -> HeadReader:
    """The built-in network that estimates expression and gaze.

    `head.change.read_change` takes the network, `head.fitting.fit_head` its output for a photo.
    """
    served = choice.quantised("head-reader", "head-reader", pick_device(device))
    return _head_reader(pick_device(device)) if served is None else HeadReader(ServedHeadReader(served))


@_kept()
def mark() -> MarkNets:
    """The built-in networks of the invisible mark."""
    return pretrained.load_mark()


@_kept()
def mouth() -> MouthNet:
    """The built-in network that paints open mouths, in bfloat16 where the processor supports it."""
    network = pretrained.load_mouth()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.bfloat16() if multiplies_bfloat16() else network


@_kept(2)
def completion(device: str = "cpu") -> CompletionNet:
    """The built-in network that completes faces."""
    network = pretrained.load_completion(device=device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def translation(model: str | os.PathLike[str], device: str = "cpu") -> TranslationNet:
    """A network from `latentface train translate`, by its file."""
    return _translation(os.fspath(model), _stamp(model), device)


@_kept()
def finders() -> Finders:
    """The built-in networks that find what is in front of faces and behind them; bfloat16 where it is supported."""
    networks = pretrained.load_spectacles(), pretrained.load_occluders(), pretrained.load_matte()
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if multiplies_bfloat16():
            network.bfloat16()
    return Finders(*networks)


def rhythm(model: str | os.PathLike[str] = "rhythm") -> RhythmNet:
    """The network that predicts sequences of emotions: the built-in one, or a file from `latentface sequence fit`."""
    return _rhythm(os.fspath(model), _stamp(model))


def retargeting(network: str | os.PathLike[str], device: str = "cpu") -> RetargetNet:
    """A network for retargeting, a file from `latentface train retarget`."""
    return _retargeting(os.fspath(network), _stamp(network), pick_device(device))


def builtin_digest() -> str:
    """A SHA-256 over the checksums of all built-in networks."""
    return hashlib.sha256("".join(entry.sha256 for entry in BUILTIN).encode()).hexdigest()


def forget() -> None:
    """Release all loaded networks."""
    choice.forget()
    for release in _RELEASES:
        release()
    _W_STATISTICS.clear()


def _stamp(name: str | os.PathLike[str]) -> int:
    """Modification time of the named file (0 for a built-in name), so that a changed file is read again."""
    path = Path(name)
    return path.stat().st_mtime_ns if path.is_file() else 0


@_kept(4)
def _generator(name: str, stamp: int, device: str) -> Generator:
    return pretrained.load_generator(name, device=device)


@_kept(4)
def _encoder(lineage: tuple[str, ...], device: str) -> LatentEncoder | None:
    found = pretrained.find_encoder(*lineage)
    return found if found is None else found.to(device)


@_kept(2)
def _named_encoder(name: str, stamp: int, device: str) -> LatentEncoder | PspEncoder:
    return pretrained.load_encoder(name, device=device)


@_kept(4)
def _expressions(lineage: tuple[str, ...]) -> Subspace | None:
    return pretrained.find_expressions(*lineage)


@_kept(4)
def _preconditioner(lineage: tuple[str, ...]) -> Preconditioner | None:
    return pretrained.find_preconditioner(*lineage)


@_kept(2)
def _animator(name: str, stamp: int, device: str) -> MotionModel:
    from latentface.networks.motion.inference import fold

    return fold(pretrained.load_motion(name, device=device))


@_kept(2)
def _talking_head(name: str, stamp: int, device: str) -> Vid2VidModel:
    return pretrained.load_vid2vid(name, device=device)


@_kept(2)
def _head_reader(device: str) -> HeadReader:
    return HeadReader(pretrained.load_head_reader(device=device))


@_kept(4)
def _landmarks(name: str, stamp: int) -> LandmarkPredictor:
    if name == "dlib68":
        return dlib_landmarks.DlibLandmarks(dlib_landmarks.find_dlib68())
    path = pretrained.resolve("landmarks" if name == "builtin" else name, kind="landmarks")
    if path.is_file() and is_safetensors(path):
        network = pretrained.load_landmarks(path)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a fifth faster
        return alignment.BuiltinLandmarks(network)
    return dlib_landmarks.DlibLandmarks(path)


@_kept(2)
def _faces(device: str) -> tuple[IdentityNet, EmotionNet, LandmarkNet]:
    """The identity, emotion and landmark networks."""
    identity, emotion = pretrained.load_identity(device=device), pretrained.load_emotion(device=device)
    return identity, emotion, pretrained.load_landmarks(device=device)


@_kept(2)
def _retargeting(name: str, stamp: int, device: str) -> RetargetNet:
    return pretrained.load_retargeting(name, device=device)


@_kept(2)
def _rhythm(name: str, stamp: int) -> RhythmNet:
    return pretrained.load_rhythm(name)


@_kept(2)
def _translation(name: str, stamp: int, device: str) -> TranslationNet:
    network = pretrained.load_translation(name, device=device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
