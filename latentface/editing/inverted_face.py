"""Prepares faces for editing: finds them in photos, and encodes, projects or looks up their latents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentface import api
from latentface.arrays import Float64Array, Pixels
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop, WhichFace, frontality, largest_face, pick_face
from latentface.faces.regions import visible_share
from latentface.inversion.cache import ProjectionCache
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.inversion.projector import Projection, StepCallback
from latentface.io.colour import convert, srgb
from latentface.io.images import Photo, read_photo
from latentface.latents.latent import Latent
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

FaceSource = str | os.PathLike[str] | Pixels | Latent | Projection
Note = Callable[[str], None]

#: Below this confidence a warning is given: the face is turned far away or largely hidden.
LOW_CONFIDENCE = 0.5
_SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Face:
    """One face and its latent.

    Attributes:
        latent: its latent code.
        photo, crop: its photo and crop; None for a latent.
        others: landmarks [68, 2] of the photo's other faces.
        confidence: 0 to 1, how well its expression and shape are visible; 1 for a latent.
        cached: whether its projection came from the cache.
        tuned: the weights that pivotal tuning changed in the generator for this face, or None.
    """

    latent: Latent
    photo: Photo | None = None
    crop: FaceCrop | None = None
    others: tuple[Float64Array, ...] = ()
    confidence: float = 1.0
    cached: bool = False
    tuned: TunedDeltas | None = None

    def in_srgb(self, note: Note | None = None) -> Face:
        """The face in a photo converted to sRGB, as in a clip; note: called if a profile is ignored."""
        if self.photo is None:
            return self
        photo = srgb(self.photo)
        for text in photo.notes[len(self.photo.notes) :]:
            if note is not None:
                note(text)
        return replace(self, photo=photo)

    def in_own_colours(self, image: Pixels, icc: bytes | None = None) -> Pixels:
        """A picture of that profile, by default a synthesised one in sRGB, in the colours of the face's own photo."""
        return image if self.photo is None else convert(image, icc, self.photo.icc)

    def tune(self, generator: Generator) -> Generator:
        """The generator that synthesises this face and its edits: a tuned copy if it was tuned, otherwise itself.

        Its mapping, and with it the meaning of a latent, is that of the generator.
        """
        return generator if self.tuned is None else self.tuned.apply(generator)


@dataclass(frozen=True, eq=False)
class _Known:
    """A latent and its pivotal tuning."""

    latent: Latent
    tuned: TunedDeltas | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """A source before any projection: a latent and its tuning, or a photo and a crop."""

    photo: Photo | None = None
    crop: FaceCrop | None = None
    others: tuple[Float64Array, ...] = ()
    known: _Known | None = None


def choose_projection(generator: Generator, likeness: bool = False, seed: int = 0) -> ProjectOptions:
    """The default projection of faces: by the network's own encoder where that is sufficient.

    The encoder's latents reproduce a person only roughly, but they lie where the directions of a network work well, and
    are sufficient for a face that only provides the motion for the photo's own pixels.

    Args:
        generator: the network of the latents.
        likeness: the synthesised face is shown and should resemble the person.
        seed: seed of the projection.
    """
    if api.has_encoder(generator) and not likeness:
        return ProjectOptions(steps=0, seed=seed)
    return ProjectOptions(seed=seed)


def begin(crops: Sequence[FaceCrop], generator: Generator, project: ProjectOptions) -> torch.Tensor:
    """The starting points of the searches, which are the results if `steps` is 0: ws [N, num_ws, w_dim] on the CPU."""
    found = api.start_of(crops, generator, project.start, search=False)
    assert found is not None, "the mean is refused without a search"
    return found.cpu()


class FaceFinder:
    """Finds faces and their latents with one generator.

    Args:
        generator: the network.
        project: how faces are projected and, with `tune_steps`, the generator tuned for each; by default by
            `choose_projection`.
        landmarks: see `api.align`.
        cache: the cache of projections; None for none.
        note: called with one-line notes for the user.
        on_step: called after every step of a projection.
    """

    def __init__(
        self,
        generator: Generator,
        project: ProjectOptions | None = None,
        *,
        landmarks: str = "builtin",
        cache: ProjectionCache | None = None,
        note: Note | None = None,
        on_step: StepCallback | None = None,
    ) -> None:
        self.generator, self.landmarks, self.cache = generator, landmarks, cache
        self.project = choose_projection(generator) if project is None else project
        self.note, self.on_step = note or (lambda text: None), on_step

    def face(self, source: FaceSource, number: WhichFace = None, what: str = "the photo") -> Face:
        """The face of one source, as found by `faces`."""
        return self.faces([(source, what, number)])[0]

    def faces(self, wanted: Iterable[tuple[FaceSource, str, WhichFace]]) -> list[Face]:
        """Faces with their latents, from the cache or projected together.

        Args:
            wanted: source (a photo's file or uint8 RGB [H, W, 3], a latent or its file, a projection), its name in
                messages, and which face of it (counted from 1; None for the largest). The tuning of a projection, or in
                NAME.tuned.safetensors beside NAME.latent.safetensors, goes with its latent.

        Raises:
            InputError: a file cannot be used or has no such face; NoFaceFound says in which photo.
            LatentMismatch: a latent belongs to another network.
            UsageError: the encoder is required but the network has none, or a number is given for a latent, which is a
                single face.
        """
        wanted = list(wanted)
        looks = [self._find(*each) for each in wanted]
        known = [look.known if look.crop is None else self._remembered(look.crop, self.project) for look in looks]
        crops = [look.crop for look, had in zip(looks, known, strict=True) if had is None and look.crop is not None]
        made = iter(self._invert(crops, self.project))
        faces = []
        for look, had, (_, what, _) in zip(looks, known, wanted, strict=True):
            found = had if had is not None else next(made)
            confidence = 1.0 if look.crop is None else face_confidence(look.crop)
            cached = look.crop is not None and had is not None
            faces.append(Face(found.latent, look.photo, look.crop, look.others, confidence, cached, found.tuned))
            self._warn(faces[-1], what)
        return faces

    def latent(self, crop: FaceCrop) -> Latent:
        """The latent of a crop, without tuning and without the warnings of `faces`."""
        plain = replace(self.project, tune_steps=0, tune_learning_rate=ProjectOptions.tune_learning_rate)
        known = self._remembered(crop, plain)
        return known.latent if known is not None else self._invert([crop], plain)[0].latent

    def follow(self, crop: FaceCrop, before: torch.Tensor) -> torch.Tensor:
        """The latent ws [num_ws, w_dim] of a clip's next frame: encoded, or searched from the previous frame."""
        return api.follow(crop, self.generator, before) if self.project.steps else self.latent(crop).ws

    def _align(self, rgb: Pixels) -> list[FaceCrop]:
        return api.align(rgb, self.generator.config.resolution, self.landmarks)

    def _find(self, source: FaceSource, what: str, number: WhichFace) -> _Found:
        """Open a source: a latent, or a photo and the face in it."""
        if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == _SUFFIX:
            known = _Known(api.load_latent(source, self.generator), _tuning_beside(Path(source)))
        elif isinstance(source, Latent | Projection):
            known = _Known(source) if isinstance(source, Latent) else _Known(source.latent, source.tuned)
            api.check_latent(known.latent, self.generator, what)
        else:
            return self._find_in_photo(source, what, number)
        if number is not None:
            raise UsageError(
                f"{what} is a latent, which holds a single face; leave out the number of the face ({number})"
            )
        return _Found(known=known)

    def _find_in_photo(self, source: str | os.PathLike[str] | Pixels, what: str, number: WhichFace) -> _Found:
        photo = Photo(source) if isinstance(source, np.ndarray) else read_photo(source)
        name = what if isinstance(source, np.ndarray) else f"{what}, {os.fspath(source)}"
        for lost in photo.notes:
            self.note(f"{name}: {lost}")
        try:
            photo, crops, text = api.align_upright(photo, self.generator.config.resolution, self.landmarks)
        except NoFaceFound as error:
            raise NoFaceFound(f"{name}: {error}") from None
        if text is not None:
            self.note(f"{name}: {text}")
        chosen = self._choose(crops, number, name)
        return _Found(photo, chosen, tuple(crop.landmarks for crop in crops if crop is not chosen))

    def _choose(self, crops: Sequence[FaceCrop], number: WhichFace, name: str) -> FaceCrop:
        if number is not None:
            return pick_face(crops, number, name)
        if len(crops) > 1:
            largest = largest_face(crops)
            self.note(f"{name}: {len(crops)} faces, taking the largest (face {largest}); choose another by number")
        return pick_face(crops, None, name)

    def _invert(self, crops: Sequence[FaceCrop], project: ProjectOptions) -> list[_Known]:
        """The latents of crops: starting points, or projections, which are cached."""
        if not crops:
            return []
        if not (project.steps or project.tune_steps):
            fingerprint = self.generator.fingerprint
            return [_Known(Latent(ws, fingerprint)) for ws in begin(crops, self.generator, project)]
        keys = [
            self._key(crop, project) for crop in crops
        ]  # computed first, because the files that the keys depend on may change
        made = api.project(crops, self.generator, project, on_step=self.on_step)
        return [self._remember(key, projection) for key, projection in zip(keys, made, strict=True)]

    def _key(self, crop: FaceCrop, project: ProjectOptions) -> str | None:
        """The cache key for the projection of a crop; None if there is no projection or no cache."""
        if self.cache is None or not (project.steps or project.tune_steps):
            return None
        return api.projection_key(crop, self.generator, project)

    def _remembered(self, crop: FaceCrop, project: ProjectOptions) -> _Known | None:
        key = self._key(crop, project)
        if self.cache is None or key is None:
            return None
        latent = self.cache.get(key, self.generator.fingerprint)
        tuned = self.cache.get_tuned(key, self.generator.fingerprint) if project.tune_steps else None
        if latent is None or (project.tune_steps and tuned is None):
            return None
        return _Known(latent, tuned)

    def _remember(self, key: str | None, projection: Projection) -> _Known:
        """The projection's latent, with its verdict in the metadata, and its tuning; both are stored in the cache."""
        facts = {"distance": repr(float(projection.distance)), "verdict": projection.verdict}
        latent = replace(projection.latent, metadata={**(projection.latent.metadata or {}), **facts})
        if self.cache is not None and key is not None:
            self.cache.put(key, latent, projection.tuned)
        return _Known(latent, projection.tuned)

    def _warn(self, face: Face, what: str) -> None:
        if face.confidence < LOW_CONFIDENCE:
            self.note(
                f"{what}: the face is turned far away or partly hidden (confidence {face.confidence:.2f}); "
                "expect a poor result"
            )
        verdict = (face.latent.metadata or {}).get("verdict", "")
        if verdict.startswith("outside"):
            self.note(f"{what}: the face is {verdict}; expect a poor result")


def _tuning_beside(latent: Path) -> TunedDeltas | None:
    """The tuning in NAME.tuned.safetensors beside NAME.latent.safetensors, or None."""
    name = latent.name.removesuffix(f".latent{_SUFFIX}")
    tuned = latent.with_name(f"{name}.tuned{_SUFFIX}")
    return TunedDeltas.load(tuned) if name != latent.name and tuned.is_file() else None


def face_confidence(crop: FaceCrop) -> float:
    """From 0 to 1: how well a face is visible, from its frontality and its share of skin-coloured pixels."""
    return min(frontality(crop.landmarks), visible_share(crop.image, crop.crop_landmarks))
