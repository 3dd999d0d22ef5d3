"""People for the recipe of the identity embedding: photographs, pictures in which the head drives them, and renders.

Some have several photographs (`portrait_sources.person_of`), most have one, and `synthface.portraits` gives each of
them other expressions, views and lights. Rendered people (`synthface.dataset`) are seen from the side as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch.nn import functional as F

from latentface.errors import InputError
from latentface.faces.alignment import BuiltinLandmarks, glance
from latentface.synthface.portrait_sources import SourceFace, read_faces
from latentface.training.data import load_shards
from latentface.training.faces import FaceData, join, load_faces
from latentface.training.photo_landmarks import SIDE, driven, photographed

HELD_OUT_STRIDE: Final = 4  # of the people with several photographs, every which is only measured on
COMPARED: Final = 32  # pixels of a side at which photographs are compared
SAME_PICTURE: Final = 0.98  # correlation above which two files hold one photograph


def load_people(faces: Path, rigged: Path) -> tuple[FaceData, FaceData]:
    """Pictures to train on, with a number for each `person`; and the photographs of people who are held out.

    Args:
        faces: folder of photographs (see `portrait_sources`).
        rigged: folder of shards of these people driven by the head (see `synthface.portraits`).

    Raises:
        InputError: no photographs, no shards, or nobody with several photographs.
    """
    learnt, held = load_photographs(faces)
    people = {face.name: face.person for face in read_faces(faces)}
    return join([learnt, _load_driven(rigged, people, set(held.labels["person"].tolist()))]), held


def load_photographs(faces: Path) -> tuple[FaceData, FaceData]:
    """The photographs of a folder: those to train on, and all of every fourth person with several.

    Raises:
        InputError: no photographs, or nobody with several.
    """
    known = read_faces(faces)
    photographs = Counter(face.person for face in known)
    several = sorted(person for person, count in photographs.items() if count > 1)
    if not several:
        raise InputError(f"{faces}: nobody has several photographs, and so nobody can be recognised")
    held = set(several[::HELD_OUT_STRIDE])
    return (
        _load([face for face in known if face.person not in held]),
        _load([face for face in known if face.person in held]),
    )


def load_renders(folder: Path, landmarks: BuiltinLandmarks) -> FaceData:
    """Rendered people with a negative number for each `person`, aligned by landmarks that the network finds, as in use.

    Raises:
        InputError: no shards, or shards without the label `head`.
    """
    data = load_faces([folder], ("head",))
    images, points = [], []
    for image, known in zip(data.images.permute(0, 2, 3, 1).numpy(), data.points.double().numpy(), strict=True):
        picture = np.ascontiguousarray(image)
        crop = glance(picture, landmarks.look_again(picture, known[None])[0], SIDE)
        images.append(crop.image)
        points.append(crop.crop_landmarks)
    pictures = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return FaceData(pictures, torch.from_numpy(np.stack(points)).float(), labels={"person": -1 - data.labels["head"]})


def _load(faces: Sequence[SourceFace]) -> FaceData:
    return photographed(faces, "person", torch.tensor([face.person for face in faces]))


def _load_driven(rigged: Path, people: dict[str, int], held: set[int]) -> FaceData:
    shards = load_shards(rigged, ("images", "name", "landmarks"))
    persons = np.array([people.get(str(name), -1) for name in shards["name"]])
    chosen = np.nonzero((persons >= 0) & ~np.isin(persons, list(held)))[0]
    if not len(chosen):
        raise InputError(f"{rigged}: no picture shows a person of the photographs who is not held out")
    return driven(shards, chosen, "person", persons)


def same_picture(images: torch.Tensor) -> torch.Tensor:
    """Which of the pictures uint8 [N, 3, H, H] are one photograph, cut out or stored anew: bool [N, N].

    Their middles are compared by correlation, which a change of brightness or contrast does not alter.
    """
    small = F.interpolate(images.float(), (COMPARED, COMPARED), mode="area")[:, :, COMPARED // 4 :, 4:-4].flatten(1)
    centred = F.normalize(small - small.mean(1, keepdim=True), dim=1)
    return centred @ centred.T > SAME_PICTURE
