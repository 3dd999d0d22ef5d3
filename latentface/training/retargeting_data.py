"""Pictures of a few people with many expressions each: rendered ones, or folders of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import FaceCrop, near_features, pick_face
from latentface.faces.tracking import Tracker
from latentface.io.images import PHOTO_SUFFIXES, read_image
from latentface.io.kinds import CLIP_SUFFIXES
from latentface.io.video import read_clip
from latentface.networks.retargeting import in_units

CELLS = 24  # side of the grid of pixels' weights
ANGLE_UNIT = 20.0  # degrees that count as much as a whole expression shape
KEPT = 300  # frames of a clip that are kept, evenly spread
HELD_OUT = 20  # of the user's own pictures, one in so many is measured on


@dataclass(frozen=True, eq=False)
class Cast:
    """Pictures of people, all in the framing of the FFHQ crop.

    Attributes:
        names: of the P people.
        person: of each picture, int64 [n].
        images: uint8 [n, 3, R, R].
        landmarks: float32 [n, 68, 2], the crop reaching from -1 to 1.
        features: closeness to eyes and mouth, float32 [n, 1, CELLS, CELLS].
        moment: the number of the expression if everybody shows it, int64 [n]; -1 for a person's own.
        truth: coefficients and angles of rendered pictures, float32 [n, E]; None where they are not known.
    """

    names: tuple[str, ...]
    person: Tensor
    images: Tensor
    landmarks: Tensor
    features: Tensor
    moment: Tensor
    truth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: Tensor) -> Cast:
        """The pictures with these numbers, or those where a mask is true."""
        rows = ("person", "images", "landmarks", "features", "moment")
        truth = None if self.truth is None else self.truth[chosen]
        return replace(self, truth=truth, **{name: getattr(self, name)[chosen] for name in rows})

    def people(self, first: int, last: int) -> Cast:
        """The people first..last (exclusive), numbered from 0 again."""
        part = self[(self.person >= first) & (self.person < last)]
        return replace(part, names=self.names[first:last], person=part.person - first)

    def split(self) -> tuple[Cast, Cast]:
        """What to train on and what to measure on: the shared expressions, or one of `HELD_OUT` pictures."""
        held = self.moment >= 0
        if not held.any():
            held = torch.arange(len(self)) % HELD_OUT == 0
        return self[~held], self[held]

    def pairs(self, step: int = 1) -> tuple[Tensor, Tensor]:
        """Pictures [m], and the ones [m] that show the person `step` further with the same shared expression.

        Without shared expressions each picture is paired with itself.
        """
        if not (self.moment >= 0).all():
            return torch.arange(len(self)), torch.arange(len(self))
        place = {key: k for k, key in enumerate(zip(self.person.tolist(), self.moment.tolist(), strict=True))}
        other = [place[(person + step) % len(self.names), moment] for person, moment in place]
        return torch.tensor(list(place.values())), torch.tensor(other)


def load_rendered(folder: Path) -> Cast:
    """The cast that `latentface.synthface.casts` rendered into a folder.

    Raises:
        InputError: no person-*.npz there.
    """
    paths = sorted(folder.glob("person-*.npz"))
    if not paths:
        raise InputError(f"{folder} holds no person-*.npz: render some with `python -m latentface.synthface.casts`")
    parts = []
    for number, path in enumerate(paths):
        with np.load(path, allow_pickle=False) as file:
            truth = np.concatenate([file["coefficients"], file["view"] / ANGLE_UNIT], 1).astype(np.float32)
            moment = np.where(np.arange(len(truth)) < file["shared"], np.arange(len(truth)), -1)
            part = _part(path.stem, file["images"], file["landmarks"])
        parts.append(
            replace(part, person=part.person + number, moment=torch.from_numpy(moment), truth=torch.from_numpy(truth))
        )
    return _join(parts)


@dataclass(frozen=True)
class LeftOut:
    """A file that cannot be learnt from, and why."""

    path: Path
    reason: str


def gather(
    folders: Sequence[Path], side: int, landmarks: LandmarkPredictor, on_file: Callable[[int], None] = lambda done: None
) -> tuple[Cast, list[LeftOut]]:
    """The cast of folders of people: a folder for each person, of pictures and clips that show one face each.

    Args:
        folders: of people; a folder that itself holds only folders stands for these.
        side: of the pictures.
        landmarks: the predictor.
        on_file: called with the number of files that are read.

    Returns:
        The cast, and the files that are left out.

    Raises:
        InputError: a folder does not exist, or fewer than two people remain.
    """
    parts: list[Cast] = []
    left_out: list[LeftOut] = []
    done = 0
    for name, paths in people_in(folders).items():
        crops: list[FaceCrop] = []
        for path in paths:
            try:
                crops += read_faces(path, side, landmarks)
            except InputError as error:
                left_out.append(LeftOut(path, str(error).removeprefix(f"{path}: ")))
            done += 1
            on_file(done)
        if crops:
            points = np.stack([crop.crop_landmarks for crop in crops])
            part = _part(name, np.stack([crop.image for crop in crops]), points)
            parts.append(replace(part, person=part.person + len(parts)))
    if len(parts) < 2:
        raise InputError(f"faces of {len(parts)} people were found: give a folder for each of two or more people")
    return _join(parts), left_out


def people_in(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The pictures and clips of each person, by the name of the person's folder, sorted.

    Raises:
        InputError: a folder does not exist or two people have one name.
    """
    found: dict[str, list[Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; give one with a folder for each person in it")
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        persons = [path for path in inside if path.is_dir()]
        for person in persons or [folder]:
            if person.name in found:
                raise InputError(f"two folders are called {person.name}: rename one, since the name is the person's")
            suffixes = PHOTO_SUFFIXES | CLIP_SUFFIXES
            found[person.name] = [path for path in sorted(person.iterdir()) if path.suffix.lower() in suffixes]
    return found


def read_faces(path: Path, side: int, landmarks: LandmarkPredictor) -> list[FaceCrop]:
    """The largest face of a picture, or the tracked face in up to `KEPT` frames of a clip.

    Raises:
        InputError: the file cannot be read, or shows no face.
    """
    if path.suffix.lower() not in CLIP_SUFFIXES:
        return [pick_face(alignment.align(read_image(path), size=side, landmarks=landmarks), None)]
    tracker, found, stride = Tracker(landmarks, dense=True), list[tuple[int, FaceCrop]](), 1
    for index, (picture, points) in enumerate(_tracked(path, tracker)):
        if points is not None and index % stride == 0:
            found.append((index, alignment.crop_face(picture, points, side)))
        if len(found) == 2 * KEPT:  # twice as many as wanted: every second one is enough from here on
            found, stride = found[::2], 2 * stride
    if not found:
        raise InputError(f"{path}: no frame shows a face")
    chosen = np.linspace(0, len(found) - 1, min(KEPT, len(found))).round().astype(int)
    return [found[k][1] for k in chosen]


def _tracked(path: Path, tracker: Tracker) -> Iterator[tuple[Pixels, Float64Array | None]]:
    for frame in read_clip(path):
        picture = np.ascontiguousarray(frame.pixels[..., :3])
        yield picture, tracker(picture)


def _part(name: str, images: Pixels, landmarks: Float64Array) -> Cast:
    """A cast of one person: pictures [n, S, S, 3] and landmarks [n, 68, 2] in their pixels."""
    points = in_units(landmarks, images.shape[1])
    cells = (points + 1) * (CELLS / 2) - 0.5
    features = np.stack([near_features(each, CELLS) for each in cells])[:, None]
    count = len(images)
    return Cast(
        (name,), torch.zeros(count, dtype=torch.int64), torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(points), torch.from_numpy(features), torch.full((count,), -1),
    )  # fmt: skip


def _join(parts: Sequence[Cast]) -> Cast:
    names = tuple(name for part in parts for name in part.names)
    truth = [part.truth for part in parts if part.truth is not None]
    rows = ("person", "images", "landmarks", "features", "moment")
    joined = {row: torch.cat([getattr(part, row) for part in parts]) for row in rows}
    return Cast(names, truth=torch.cat(truth) if truth else None, **joined)
