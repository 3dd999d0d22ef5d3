"""The people of a film, followed through cuts and crossings by place and identity.

From frame to frame a face is followed by its place. A face that appears is compared with the people who are not in the
picture, by the cosine of identity embeddings, and so are two faces that part after they met. After a cut nobody's place
is known any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from latentface.arrays import Float64Array, FloatArray, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor, glance
from latentface.faces.crop import frontality
from latentface.faces.presence import find_faces
from latentface.faces.tracking import SEARCH_SIDE, Box, Tracker

#: Unit vectors [N, D] of crops, uint8 RGB [N, S, S, 3]: the scalar product of two is high for pictures of one person.
Embed = Callable[[Pixels], FloatArray]

SAME = 0.3  # cosine from which on two pictures show one person
#: Mean difference, of 255, of small copies of two frames between which the film is cut; a false cut costs little.
CUT = 12.0
EVERY = 6  # frames after which all of a picture is searched for new faces
AGAIN = 2  # the same while somebody known is not in the picture
MET = 0.1  # intersection over union of two faces' boxes from which on they may be mistaken for each other
SIDE = 128  # of the crops that are compared
SMALL = (32, 18)
PICTURES = 24.0  # the mean over so many pictures is what a person looks like


@dataclass(eq=False)
class Person:
    """Somebody in a film.

    Attributes:
        number: from 1, in the order in which they appear.
        look: the mean of their identity embeddings, a unit vector [D].
        tracker: what follows them, or None while they are not in the picture.
        points: their landmarks in the last picture, [68, 2].
        doubtful: they met somebody, so that they have to be looked at again.
    """

    number: int
    look: FloatArray
    tracker: Tracker | None = None
    points: Float64Array | None = None
    doubtful: bool = False
    pictures: float = field(default=1.0)

    def learn(self, vector: FloatArray) -> None:
        """Take another picture's embedding [D] into account."""
        self.pictures = min(self.pictures + 1, PICTURES)
        look = self.look + (vector - self.look) / self.pictures
        self.look = look / np.linalg.norm(look)


class People:
    """Called with each frame of a film, it returns who is where: landmarks [68, 2] by people's numbers.

    Args:
        landmarks: the landmark predictor.
        embed: the identity embedding.
        known: people who are known already, and may appear.

    Attributes:
        known: everybody so far, in the order of their numbers.
        cuts: frames, counted from 0, before which the film is cut.
    """

    def __init__(self, landmarks: LandmarkPredictor, embed: Embed, known: Sequence[Person] = ()) -> None:
        self.landmarks, self.embed = landmarks, embed
        self.known = [Person(each.number, each.look) for each in known]
        self.cuts: list[int] = []
        self._frame, self._searched = -1, -EVERY
        self._small: FloatArray | None = None

    def meet(self, picture: Pixels, faces: Sequence[Float64Array]) -> None:
        """Get to know faces [68, 2] of a picture, which get the next numbers in their order."""
        if len(faces):
            for points, look in zip(faces, self._looks(picture, faces), strict=True):
                self.known.append(Person(len(self.known) + 1, look))
                self._place(self.known[-1], points)

    def __call__(self, picture: Pixels) -> dict[int, Float64Array]:
        """Who is where in the next frame, uint8 RGB [H, W, 3]."""
        self._frame += 1
        if self._is_cut(picture):
            self.cuts.append(self._frame)
            for person in self.known:
                person.tracker = person.points = None
        followed = [person for person in self.known if person.tracker is not None]
        for person in followed:
            assert person.tracker is not None
            person.points = person.tracker.follow(picture)
            if person.points is None:
                person.tracker = None
        self._tell_apart(picture)
        lost, absent = len(followed) > len(self.present), len(self.known) > len(self.present)
        if lost or self._frame - self._searched >= (AGAIN if absent else EVERY):
            self._search(picture)
        return {person.number: person.points for person in self.present if person.points is not None}

    @property
    def is_cut(self) -> bool:
        """Whether the film is cut before the last frame."""
        return self.cuts[-1:] == [self._frame]

    @property
    def present(self) -> list[Person]:
        """Those in the last picture."""
        return [person for person in self.known if person.tracker is not None]

    def _is_cut(self, picture: Pixels) -> bool:
        height, width = picture.shape[:2]
        rows, columns = (np.arange(n) * size // n for n, size in zip(SMALL[::-1], (height, width), strict=True))
        step = max(1, min(height // SMALL[1], width // SMALL[0]) // 3)
        samples = [picture[(rows + k * step) % height][:, (columns + k * step) % width] for k in range(3)]
        small: FloatArray = np.mean(samples, axis=(0, 3))
        before, self._small = self._small, small
        return before is not None and float(np.abs(small - before).mean()) > CUT

    def _tell_apart(self, picture: Pixels) -> None:
        """Those who met and parted are looked at again; of two on one face, the one whose it is stays."""
        here = self.present
        boxes = {person.number: alignment.box_around(person.points) for person in here if person.points is not None}
        meeting = {
            person.number
            for person in here
            for other in here
            if other is not person and _overlap(boxes[person.number], boxes[other.number]) > MET
        }
        for person in here:
            person.doubtful |= person.number in meeting
        doubtful = [person for person in here if person.doubtful]
        if not doubtful or (meeting and self._frame % 2):
            return
        faces = [
            person.points
            for k, person in enumerate(doubtful)
            if person.points is not None
            and all(_overlap(boxes[person.number], boxes[other.number]) < 0.5 for other in doubtful[:k])
        ]
        absent = [person for person in self.known if person.tracker is None]
        likeness = self._likeness([*doubtful, *absent], self._looks(picture, faces))
        for person in doubtful:
            person.tracker = person.points = None
            person.doubtful = person.number in meeting
        for row, column in zip(*linear_sum_assignment(-likeness), strict=True):
            if likeness[row, column] > SAME or row < len(doubtful):
                self._place([*doubtful, *absent][row], faces[column])

    def _search(self, picture: Pixels) -> None:
        """Find everybody who is not followed, and those who are new."""
        self._searched = self._frame
        taken = [alignment.box_around(person.points) for person in self.present if person.points is not None]
        found = find_faces(picture, self.landmarks, SEARCH_SIDE)
        faces = [points for points in found if all(_overlap(alignment.box_around(points), box) < 0.3 for box in taken)]
        self._learn(picture)
        if not faces:
            return
        looks = self._looks(picture, faces)
        absent = [person for person in self.known if person.tracker is None]
        placed = set()
        if absent:
            likeness = self._likeness(absent, looks)
            for row, column in zip(*linear_sum_assignment(-likeness), strict=True):
                if likeness[row, column] > SAME:
                    self._place(absent[row], faces[column])
                    placed.add(column)
        for column, points in enumerate(faces):
            if column not in placed and frontality(points) > 0.2:
                self.known.append(Person(len(self.known) + 1, looks[column]))
                self._place(self.known[-1], points)

    def _learn(self, picture: Pixels) -> None:
        """Look again at those who are surely who they are."""
        sure = [person for person in self.present if not person.doubtful and person.points is not None]
        if sure:
            points = [person.points for person in sure if person.points is not None]
            for person, look in zip(sure, self._looks(picture, points), strict=True):
                if person.look @ look > SAME:
                    person.learn(look)

    def _place(self, person: Person, points: Float64Array) -> None:
        left, top, right, bottom = alignment.box_around(points).astype(int).tolist()
        box: Box = (left, top, right, bottom)
        person.tracker, person.points = Tracker(self.landmarks, box, dense=True), points

    def _looks(self, picture: Pixels, faces: Sequence[Float64Array]) -> FloatArray:
        return self.embed(np.stack([glance(picture, points, SIDE).image for points in faces]))

    @staticmethod
    def _likeness(people: Sequence[Person], looks: FloatArray) -> FloatArray:
        """Cosines [P, F]."""
        made: FloatArray = np.stack([person.look for person in people]) @ looks.T
        return made


class PersonTracker:
    """Called with each frame as a `Tracker`, it returns the landmarks [68, 2] of one of the people, or None.

    Attributes:
        track: how often that person has come into the picture, or been in it after a cut.
        others: the landmarks of everybody else in the last frame.
    """

    def __init__(self, people: People, number: int) -> None:
        self.people, self.number, self.track = people, number, 0
        self.others: tuple[Float64Array, ...] = ()
        self._seen = False

    def __call__(self, picture: Pixels) -> Float64Array | None:
        """Where that person is in uint8 RGB [H, W, 3]."""
        here = self.people(picture)
        points = here.pop(self.number, None)
        self.others = tuple(here.values())
        self.track += points is not None and (self.people.is_cut or not self._seen)
        self._seen = points is not None
        return points


def _overlap(a: Float64Array, b: Float64Array) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod((high - low).clip(0)))
    areas = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]))
    return shared / max(areas - shared, 1e-9)
