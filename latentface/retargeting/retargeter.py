"""Retargeting: what one face does, in the picture of another person; pictures, clips and what lies between two."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentface import hub
from latentface.arrays import Pixels
from latentface.errors import NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import FaceCrop, WhichFace, pick_face
from latentface.faces.people import People
from latentface.faces.person_tracker import PersonTracker
from latentface.io.clip import Clip, Frame
from latentface.io.images import to_tensor, to_uint8
from latentface.io.provenance import GENERATED
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.retargeting import Person, RetargetNet, in_units
from latentface.retargeting.people import STEPS, StepCallback, fit_person, load_person


def as_views(crops: Sequence[FaceCrop]) -> tuple[Tensor, Tensor]:
    """Crops of one size as a network for retargeting takes them: pictures [N, 3, R, R] and landmarks [N, 68, 2]."""
    pictures = torch.cat([to_tensor(crop.image) for crop in crops])
    points = [in_units(crop.crop_landmarks, crop.size) for crop in crops]
    return pictures, torch.from_numpy(np.stack(points))


@dataclass(frozen=True, eq=False)
class Retargeter:
    """Reads what faces do and shows it in the picture of a person.

    Attributes:
        network: trained by `latentface train retarget`.
        landmarks: the predictor of 68 landmarks.
        perceptual: a perceptual distance, for new people.
    """

    network: RetargetNet
    landmarks: LandmarkPredictor
    perceptual: FeatureDistance

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the people that the network was trained on."""
        return self.network.config.people

    def person(self, who: str | Person) -> Person:
        """A person by name, by the file of a fitted one, or as it is.

        Raises:
            UsageError: there is no such person.
            WeightsError: the file cannot be used.
        """
        if isinstance(who, Person):
            return who
        if who in self.people:
            return self.network.people(torch.tensor([self.people.index(who)], device=self._device))
        if Path(who).is_file():
            return load_person(who, self.network)
        raise UsageError(f"no person {who!r} and no such file; expected one of {', '.join(self.people)}")

    def read(self, photo: Pixels, face: WhichFace = None) -> Tensor:
        """The code [1, code] of what a face does.

        Args:
            photo: uint8 RGB [H, W, 3].
            face: which face, as `pick_face` takes it; by default the largest.

        Raises:
            NoFaceFound: the photo shows no face.
        """
        return self._encode([self._crop(photo, face)])

    def show(self, codes: Tensor, who: str | Person) -> Pixels:
        """What codes [N, code] say, done by a person: uint8 RGB [N, R, R, 3]."""
        with torch.inference_mode():
            pictures, _ = self.network.decode(codes, self.person(who).expand(len(codes)))
        return to_uint8(pictures)

    def retarget(self, photo: Pixels, who: str | Person, face: WhichFace = None) -> Pixels:
        """The picture uint8 RGB [R, R, 3] of a person who does what a face in a photo does; raises as `read`."""
        made: Pixels = self.show(self.read(photo, face), who)[0]
        return made

    def retarget_clip(self, clip: Clip, who: str | Person, face: WhichFace = None) -> Clip:
        """A clip of a person who does what a face in a clip does, frame by frame.

        face: whose, of those in the first frame that shows any; by default the largest, and if there is one alone, the
        best-scored face of each frame.
        Frames that show no face repeat the last one that does; iterating raises NoFaceFound if the first shows none.
        """
        person, side = self.person(who), self.network.config.resolution

        def frames() -> Iterator[Frame]:
            for code, frame in self._codes(clip, face):
                yield Frame(self.show(code, person)[0], frame.time)

        return replace(clip, frames=frames(), size=(side, side), alpha=False, source_type=GENERATED, xmp=None)

    def interpolate(self, first: Tensor, last: Tensor, who: str | Person, steps: int) -> Pixels:
        """A person on the straight way between two codes [1, code]: uint8 RGB [steps, R, R, 3]."""
        if steps < 2:
            raise UsageError(f"{steps} steps between two expressions: expected 2 or more")
        share = torch.linspace(0, 1, steps, device=first.device)[:, None]
        return self.show(first + share * (last - first), who)

    def enrol(
        self, photos: Iterable[Pixels], steps: int = STEPS, on_step: StepCallback = lambda step, loss: None
    ) -> Person:
        """Fit a new person to a few photos of them, one face each (the largest); see `people.fit_person`.

        Raises:
            NoFaceFound: a photo shows no face.
        """
        pictures, landmarks = as_views([self._crop(photo, None) for photo in photos])
        moved = pictures.to(self._device), landmarks.to(self._device)
        return fit_person(self.network, *moved, self.perceptual, steps, on_step)

    @property
    def _device(self) -> torch.device:
        return self.network.vectors.device

    def _crop(self, photo: Pixels, face: WhichFace) -> FaceCrop:
        return pick_face(alignment.align(photo, size=self.network.config.resolution, landmarks=self.landmarks), face)

    def _encode(self, crops: Sequence[FaceCrop]) -> Tensor:
        pictures, landmarks = as_views(crops)
        with torch.inference_mode():
            return self.network.encode(pictures.to(self._device), landmarks.to(self._device)).mean

    def _codes(self, clip: Clip, face: WhichFace) -> Iterator[tuple[Tensor, Frame]]:
        """The code of each frame's tracked face, or that of the last frame that shows one."""
        people, held = People(self.landmarks, hub.embed_faces), None
        tracker = PersonTracker(people, face, lone=True)
        for frame in tracker.ahead(clip):
            picture = np.ascontiguousarray(frame.pixels[..., :3])
            points = tracker(picture)
            if points is not None:
                held = self._encode([alignment.crop_face(picture, points, self.network.config.resolution)])
            if held is None:
                raise NoFaceFound("the first frame of the clip shows no face; cut the clip so that it begins with one")
            yield held, frame


def load_retargeter(network: str | os.PathLike[str], device: str = "cpu", landmarks: str = "builtin") -> Retargeter:
    """Open a network that `latentface train retarget` made, with what it needs to read faces.

    Raises:
        UnknownNetwork, WeightsError: it does not exist, or cannot be used.
    """
    chosen = hub.pick_device(device)
    return Retargeter(hub.retargeting(network, chosen), hub.landmark_predictor(landmarks), hub.perceptual(chosen))
