"""Faces made ready to be edited: found in photos, and their latents encoded, projected or remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentface import api
from latentface.arrays import Pixels
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop, frontality, largest_face, pick_face
from latentface.faces.regions import visible_share
from latentface.inversion.cache import ProjectionCache
from latentface.inversion.projector import Projection, StepCallback
from latentface.io.images import Photo, read_photo
from latentface.latents.latent import Latent
from latentface.options import ProjectOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

FaceSource = str | os.PathLike[str] | Pixels | Latent | Projection
Note = Callable[[str], None]

#: A face of less confidence is warned of: turned far away, or largely hidden.
LOW_CONFIDENCE = 0.5
_LATENT_SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Face:
    """One face and its latent.

    Attributes:
        latent: what the generator draws it from.
        photo, crop: where it was found; None for a latent.
        confidence: 0 ... 1, how well its expression and shape can be seen; 1 for a latent.
        cached: whether its projection was remembered.
    """

    latent: Latent
    photo: Photo | None = None
    crop: FaceCrop | None = None
    confidence: float = 1.0
    cached: bool = False


@dataclass(frozen=True, eq=False)
class _Found:
    """What a source shows before anything is projected: a latent, or a photo and a crop of it."""

    photo: Photo | None = None
    crop: FaceCrop | None = None
    latent: Latent | None = None


def choose_projection(generator: Generator, likeness: bool = False, seed: int = 0) -> ProjectOptions:
    """How the faces of photos are projected unless the user says how: by the network's own encoder where that will do.

    The encoder's latents draw a person roughly, but lie where the directions of a network act as they should, and are
    enough for a face that only lends its movement to the photo's own pixels.

    Args:
        likeness: the drawn face is shown, and should look like the person.
    """
    if api.has_encoder(generator) and not likeness:
        return ProjectOptions(steps=0, seed=seed)
    return ProjectOptions(seed=seed)


def begin(crops: Sequence[FaceCrop], generator: Generator, project: ProjectOptions) -> torch.Tensor:
    """Where the searches for crops begin, and end with `steps` of 0: ws [N, num_ws, w_dim] on the CPU."""
    found = api.start_of(crops, generator, project)
    assert found is not None, "with steps of 0, the mean is refused"
    return found.cpu()


class FaceFinder:
    """Finds faces and their latents with one generator.

    Args:
        generator: the network.
        project: how faces are projected; by default by `choose_projection`.
        landmarks: see `api.align`.
        cache: where projections are remembered; None for nowhere.
        note: told what the user should know, in one line.
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
        if self.project.tune_steps:
            raise UsageError("edits draw with the generator as it is; pivot tuning would change it (tune_steps is 0)")

    def face(self, source: FaceSource, number: int | None = None, what: str = "the photo") -> Face:
        """The face of one source, as `faces` finds it."""
        return self.faces([(source, what, number)])[0]

    def faces(self, wanted: Iterable[tuple[FaceSource, str, int | None]]) -> list[Face]:
        """Faces with their latents, which are remembered, or found together.

        Args:
            wanted: source (a photo's file or uint8 RGB [H, W, 3], a latent or its file, a projection), what to call it
                in messages, and which face of it (1 for the surest; None for the largest).

        Raises:
            InputError: a file cannot be used or has no such face; NoFaceFound says in which photo.
            LatentMismatch: a latent belongs to another network.
            UsageError: the encoder is to be taken, and the network has none; a number for a latent, which is one face.
        """
        wanted = list(wanted)
        looks = [self._find(*each) for each in wanted]
        known = [look.latent if look.crop is None else self._remembered(look.crop) for look in looks]
        crops = [
            look.crop for look, latent in zip(looks, known, strict=True) if latent is None and look.crop is not None
        ]
        made = iter(self._invert(crops))
        faces = []
        for look, latent, (_, what, _) in zip(looks, known, wanted, strict=True):
            found = latent if latent is not None else next(made)
            confidence = 1.0 if look.crop is None else face_confidence(look.crop)
            faces.append(Face(found, look.photo, look.crop, confidence, look.crop is not None and latent is not None))
            self._warn(faces[-1], what)
        return faces

    def largest(self, rgb: Pixels) -> FaceCrop | None:
        """The largest face of a picture, uint8 RGB [H, W, 3]; None when it shows none."""
        try:
            return pick_face(self._align(rgb), None)
        except NoFaceFound:
            return None

    def latent(self, crop: FaceCrop) -> Latent:
        """The latent of a crop, without the warnings of `faces`."""
        known = self._remembered(crop)
        return known if known is not None else self._invert([crop])[0]

    def follow(self, crop: FaceCrop, before: torch.Tensor) -> torch.Tensor:
        """The latent ws [num_ws, w_dim] of a clip's next frame: the encoder's, or searched from the frame before."""
        return api.follow(crop, self.generator, before) if self.project.steps else self.latent(crop).ws

    def _align(self, rgb: Pixels) -> list[FaceCrop]:
        return api.align(rgb, self.generator.config.resolution, self.landmarks)

    def _find(self, source: FaceSource, what: str, number: int | None) -> _Found:
        """What a source shows: a latent, or a photo and the face in it."""
        if isinstance(source, Projection):
            source = source.latent
        if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == _LATENT_SUFFIX:
            source = api.load_latent(source, self.generator)
        if isinstance(source, Latent):
            api.check_latent(source, self.generator, what)
            if number is not None:
                raise UsageError(f"{what} is a latent, which is one face; leave out the number of the face ({number})")
            return _Found(latent=source)
        photo = Photo(source) if isinstance(source, np.ndarray) else read_photo(source)
        name = what if isinstance(source, np.ndarray) else f"{what}, {os.fspath(source)}"
        try:
            crops = self._align(photo.rgb)
        except NoFaceFound as error:
            raise NoFaceFound(f"{name}: {error}") from None
        return _Found(photo, self._choose(crops, number, name))

    def _choose(self, crops: Sequence[FaceCrop], number: int | None, name: str) -> FaceCrop:
        if number is not None:
            return pick_face(crops, number, name)
        if len(crops) > 1:
            largest = largest_face(crops)
            self.note(f"{name}: {len(crops)} faces, taking the largest (face {largest}); choose another by number")
        return pick_face(crops, None, name)

    def _invert(self, crops: Sequence[FaceCrop]) -> list[Latent]:
        """The latents of crops: where searches begin, or projections, which are remembered."""
        if not crops:
            return []
        if not self.project.steps:
            found = begin(crops, self.generator, self.project)
            return [Latent(ws, self.generator.fingerprint) for ws in found]
        made = api.project(crops, self.generator, self.project, on_step=self.on_step)
        return [self._remember(crop, projection) for crop, projection in zip(crops, made, strict=True)]

    def _remembered(self, crop: FaceCrop) -> Latent | None:
        if self.cache is None or not self.project.steps:
            return None
        return self.cache.get(self._key(crop, self.project), self.generator.fingerprint)

    def _remember(self, crop: FaceCrop, projection: Projection) -> Latent:
        """The projection's latent, with its verdict in the metadata, also put into the cache."""
        facts = {"distance": repr(float(projection.distance)), "verdict": projection.verdict}
        latent = replace(projection.latent, metadata={**(projection.latent.metadata or {}), **facts})
        if self.cache is not None:
            self.cache.put(self._key(crop, self.project), latent)
        return latent

    def _key(self, crop: FaceCrop, project: ProjectOptions) -> str:
        return ProjectionCache.key(crop.image, self.generator.fingerprint, project)

    def _warn(self, face: Face, what: str) -> None:
        if face.confidence < LOW_CONFIDENCE:
            self.note(
                f"{what}: the face is turned far away or partly hidden (confidence {face.confidence:.2f}); "
                "expect a poor result"
            )
        verdict = (face.latent.metadata or {}).get("verdict", "")
        if verdict.startswith("outside"):
            self.note(f"{what}: the face is {verdict}; expect a poor result")


def face_confidence(crop: FaceCrop) -> float:
    """0 ... 1: how much of a face can be seen, by how frontal its landmarks lie and how much of it looks like skin."""
    return min(frontality(crop.landmarks), visible_share(crop.image, crop.crop_landmarks))
