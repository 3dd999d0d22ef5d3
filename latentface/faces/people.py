"""The people of a film, followed through cuts and crossings by place and identity.

From frame to frame a face is followed by its place, in stretches that end where it could be mistaken for another. Whose
a stretch is, the identity embeddings of its pictures tell, compared with those of everybody who has been seen, and for
all stretches together, since nobody is in two places. If frames can be read ahead, all of them within reach are
compared before the first one is told, and a face that is found late is followed back to where its shot begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from latentface.arrays import Float64Array, FloatArray, Pixels
from latentface.errors import LatentfaceError
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.appearance import Embed, looks_of
from latentface.faces.grouping import grouped
from latentface.faces.stretch import SAME, SURE, Person, Stretch
from latentface.faces.tracking import Tracker
from latentface.faces.tracks import NEAR, Tracks

REACH = 30  # frames that are read ahead,
MEMORY = 2**28  # or fewer, which take so many bytes

Here = dict[int, Float64Array]
T = TypeVar("T")


@dataclass(eq=False)
class _Held:
    """A frame that has been read, and is not told yet: its number, its picture and the faces in it."""

    number: int
    picture: Pixels
    is_cut: bool
    seen: dict[Stretch, Float64Array]


class People:
    """Who is where in a film: landmarks [68, 2] by people's numbers, for each frame.

    Args:
        landmarks: the landmark predictor.
        embed: the identity embedding.
        known: people who are known already, and may appear.

    Attributes:
        known: everybody so far, in the order of their numbers.
        cuts: frames, counted from 0, before which the film is cut.
        is_cut: whether it is before the last frame that was told.
        merged: numbers of those who turned out to be others, and these ones' numbers.
    """

    def __init__(self, landmarks: LandmarkPredictor, embed: Embed, known: Sequence[Person] = ()) -> None:
        self.landmarks, self.embed = landmarks, embed
        self.known = [Person(each.number, each.look) for each in known]
        self.cuts: list[int] = []
        self.is_cut = False
        self.merged: dict[int, int] = {}
        self._tracks = Tracks(landmarks, embed)
        self._last = max((each.number for each in known), default=0)
        self._held: deque[_Held] = deque()
        self._open: list[Stretch] = []  # those whose person may change

    def meet(self, picture: Pixels, faces: Sequence[Float64Array]) -> None:
        """Get to know faces [68, 2] of a picture, which get the next numbers in their order."""
        looks = looks_of(picture, faces, self.embed)
        for points, look in zip(faces, looks, strict=True):
            stretch = self._tracks.begin(points, SURE).stretch
            stretch.person = self._somebody_new(look)
            stretch.see(look, points)
            stretch.fix()

    def __call__(self, picture: Pixels) -> Here:
        """Who is where in the next frame, uint8 RGB [H, W, 3], as far as is known by then."""
        self._read(picture)
        return self._tell()

    def through(self, frames: Iterable[tuple[T, Pixels]], reach: int = REACH) -> Iterator[tuple[T, Here]]:
        """Who is where in frames, each anything and its picture, uint8 RGB [H, W, 3], of which some are read ahead."""
        self._tracks.by_look = True
        waiting: deque[T] = deque()
        damage: LatentfaceError | None = None
        try:
            for frame, picture in frames:
                waiting.append(frame)
                self._read(picture)
                self._follow_back()
                if len(waiting) > min(reach, MEMORY // picture.nbytes):
                    yield waiting.popleft(), self._tell()
        except LatentfaceError as error:  # raised once all frames before the damage are told
            damage = error
        for frame in waiting:
            yield frame, self._tell()
        if damage is not None:
            raise damage

    def find(self, picture: Pixels, faces: Sequence[Float64Array], number: int) -> Float64Array | None:
        """Which of the faces [68, 2] of a picture is a person's; None if none is."""
        likeness = looks_of(picture, faces, self.embed) @ np.stack([person.look for person in self.known]).T
        rows, columns = linear_sum_assignment(-likeness)
        column = next(k for k, person in enumerate(self.known) if person.number == number)
        return next(
            (faces[i] for i, j in zip(rows, columns, strict=True) if j == column and likeness[i, j] > SAME), None
        )

    def _read(self, picture: Pixels) -> None:
        """Follow the faces into the next frame."""
        tracks = self._tracks
        tracks.known = self.known
        tracks(picture, missed=len(self.known) > len({each.stretch.person for each in tracks.here} - {None}))
        if tracks.is_cut:
            self.cuts.append(tracks.frame)
        seen = {track.stretch: track.points for track in tracks.here}
        self._held.append(_Held(tracks.frame, picture, tracks.is_cut, seen))
        self._open += [each for each in seen if not each.fixed and each not in self._open]

    def _follow_back(self) -> None:
        """Follow faces that may be somebody's back to the beginning of the shot, once it is known how they move."""
        for stretch in tuple(self._held[-2].seen) if len(self._held) > 1 else ():
            at = stretch.began - self._held[0].number
            if at < 1 or stretch.followed_back or not (stretch.settled or stretch.score >= SURE):
                continue
            stretch.followed_back = True
            held = list(self._held)[at::-1]
            tracker = Tracker.of_film(self.landmarks, held[0].seen[stretch], self._held[at + 1].seen.get(stretch))
            for later, now in pairwise(held):
                akin = partial(self._tracks.is_akin, stretch, now.picture)
                points = None if later.is_cut else tracker.follow(now.picture, akin)
                if points is None or _is_near(points, now.seen.values()) or (tracker.changed and not akin(points)):
                    break
                stretch.meet(set(now.seen))
                now.seen[stretch] = points
                stretch.began, stretch.first = now.number, alignment.box_around(points)

    def _tell(self) -> Here:
        """Who is where in the first frame that is held, which is held no longer."""
        held = self._held[0]
        if not all(each.fixed for each in held.seen):
            self._decide(held)
        self._held.popleft()
        self.is_cut = held.is_cut
        here: Here = {}
        for stretch, points in held.seen.items():
            if stretch.person is not None and stretch.person.number not in here:
                here[stretch.person.number], stretch.person.last = points, stretch
        return dict(sorted(here.items()))

    def _decide(self, held: _Held) -> None:
        """Tell whose the stretches are, and for sure of those in a frame that look as they do or are over."""
        for group in grouped(self._open, [person for person in self.known if person.pictures]):
            own = (each.person for each in group.stretches if each.person and not each.person.pictures)
            person = group.person or next(own, None)
            if person is None and not held.seen.keys().isdisjoint(group.stretches):
                person = self._somebody_new(group.look) if group.is_face else None
            for each in group.stretches:
                if person is not None and each.person is not None and not each.person.pictures:
                    self.merged[each.person.number] = person.number
                each.person = person
        for each in tuple(self._open):
            if each.began <= held.number and (each.settled or each.ended < self._tracks.frame):
                each.fix()
                self._open.remove(each)
        theirs = {each.person for each in self._open}
        self.known = [person for person in self.known if person.pictures or person in theirs]
        self.merged = {number: other for number, other in self.merged.items() if number != other}
        self._tracks.here = [each for each in self._tracks.here if each.stretch.person or not each.stretch.fixed]

    def _somebody_new(self, look: FloatArray) -> Person:
        self._last += 1
        self.known.append(Person(self._last, look, pictures=0))
        return self.known[-1]


def _is_near(points: Float64Array, others: Iterable[Float64Array]) -> bool:
    """Whether a face, landmarks [68, 2], is where one of the others is."""
    box = alignment.box_around(points)
    return any(alignment.overlap(box, alignment.box_around(other)) > NEAR for other in others)
