"""Aligned faces on disk as sources of rigged portraits: who is who, their fitted heads, and how often each one is used.

A folder holds ``crops/NAME`` (aligned faces) and ``faces.jsonl`` with a row for each: ``name``, ``source`` (the
collection), ``landmarks`` (68 points in the crop) and, where they are known, ``person``, ``jaw`` (width of the jaw
before the face was scaled, pixels) and ``inside`` (share of the crop that lies in the picture it was cut from).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentface.arrays import Float64Array, Int64Array
from latentface.errors import InputError, UsageError
from latentface.head.fit import HeadFit

#: Collections whose file names identify the person: a name for the set of people, and a pattern for the person within
#: the file name. Two collections of one set share their people.
PEOPLE = {
    "gpo_225x275": ("congress", r"images_([A-Z]\d{6})"),
    "clerk_335x410": ("congress", r"images_([A-Z]\d{6})"),
    "voteview": ("voteview", r"_(\d{6})\.\w+$"),
    "pif": ("fellows", r"fellows_\d{4}_(?:ai_)?(.+?)(?:-headshot)?\.\w+$"),
    "digitalcorps": ("fellows", r"(?:fellows_\d{4}_|social-)(.+?)(?:-headshot)?\.\w+$"),
    "london": ("london", r"inst_(canada_\d{3})|inst_\w+_front_(\d{3})"),
}
#: The first picture of each person (the last: of each drawing) in `caltech`, whose files are numbered person by person.
CALTECH_FIRST = (
    1, 22, 42, 47, 69, 90, 113, 133, 138, 159, 164, 169, 174, 194, 215, 240, 262, 267, 286, 306, 326, 346, 366, 388,
    389, 390, 391, 392, 393, 398, 418,
)  # fmt: skip
#: Sampling weight of the photos of a collection; 1 for collections that are not listed. There are many official
#: portraits, mostly of older people.
WEIGHTS = {"t2i": 1.3, "vta": 0.7, "interfaces": 0.8, "gpo_225x275": 0.6, "clerk_335x410": 0.6, "voteview": 0.6}
LEAST_CONFIDENCE = 0.75  # least confidence of a fit that is used
LEAST_JAW = 80.0  # pixels: a narrower face was enlarged too much to show skin texture
LEAST_INSIDE = 0.75  # of the crop


@dataclass(frozen=True, eq=False)
class SourceFace:
    """A face to be driven.

    Attributes:
        number: its row in faces.jsonl, from 0.
        name: of its picture.
        source: the collection that it comes from.
        person: a number shared by the pictures of one person, as far as file names tell.
        landmarks: [68, 2] pixels of the crop.
        path: its picture.
        plain: whether it is sharp and its crop lies almost entirely inside the picture.
    """

    number: int
    name: str
    source: str
    person: int
    landmarks: Float64Array
    path: Path
    plain: bool = True


def read_faces(folder: Path) -> list[SourceFace]:
    """The faces of a folder, in the order of its rows.

    Raises:
        InputError: faces.jsonl is missing, or a row is not what the module says.
    """
    path = folder / "faces.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; expected a JSON object for each face, one a line") from None
    people: dict[str, int] = {}
    made = []
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
            name, source = str(row["name"]), str(row["source"])
            landmarks = np.array(row["landmarks"], np.float64)
            plain = float(row.get("jaw", np.inf)) >= LEAST_JAW and float(row.get("inside", 1)) >= LEAST_INSIDE
            key = str(row.get("person") or person_of(name, source))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number + 1}: {error!r}; expected name, source and landmarks") from None
        if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
            raise InputError(f"{path}, line {number + 1}: landmarks of shape {landmarks.shape}; expected (68, 2)")
        person = people.setdefault(key, len(people))
        made.append(SourceFace(number, name, source, person, landmarks, folder / "crops" / name, plain))
    return made


def person_of(name: str, source: str) -> str:
    """A key shared by the pictures of one person, as far as file names tell; otherwise the file name itself."""
    if source in PEOPLE:
        people, pattern = PEOPLE[source]
        found = re.search(pattern, name)
        if found is not None:
            who = next(group for group in found.groups() if group)
            return f"{people}/{who.lower().replace('_', '-')}"
    numbered = re.search(r"image_(\d{4})", name) if source == "caltech" else None
    if numbered is not None:
        return f"caltech/{bisect_right(CALTECH_FIRST, int(numbered[1]))}"
    return f"{source}/{name}"


def is_trusted(face: SourceFace, fit: HeadFit | None) -> bool:
    """Whether a face can be driven: it is plain, and its fit (None: there is none) has enough confidence."""
    return fit is not None and face.plain and fit.confidence >= LEAST_CONFIDENCE


@dataclass(frozen=True)
class Part:
    """A picture to be rendered: the number of its face, its kind, and its seed."""

    face: int
    kind: int
    seed: int


def plan(
    faces: Sequence[SourceFace], count: int, kinds: int, seed: int, weights: Mapping[str, float] = WEIGHTS
) -> list[Part]:
    """Plan `count` pictures: equal numbers of each kind, with the pictures of one face next to each other.

    Faces are used in proportion to the weight of their collection; several photos of one person count hardly more than
    one.

    Raises:
        UsageError: no faces.
    """
    if not faces:
        raise UsageError("no face to drive: all were left out; give sharp, unobstructed faces")
    photos = Counter(face.person for face in faces)
    share = np.array([weights.get(face.source, 1.0) / photos[face.person] ** 0.7 for face in faces])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(faces))
    # systematic sampling: each face as often as expected, rounded up or down
    ends = np.cumsum(share[order]) / share.sum() * count
    places = np.searchsorted(ends, np.arange(count) + rng.uniform(), side="right").clip(0, len(order) - 1)
    chosen: Int64Array = order[places]
    decks = [rng.permutation(kinds) for _ in range(-(-count // kinds))]
    drawn = np.concatenate(decks) if decks else np.zeros(0, np.int64)
    return [Part(faces[which].number, int(drawn[k]), seed * 1_000_003 + k) for k, which in enumerate(chosen)]
