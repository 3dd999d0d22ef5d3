"""The people of a film, followed through cuts and crossings by place and identity.

From frame to frame a face is followed by its place: a track. Whose track it is, the identity embeddings of its first
pictures tell, compared with those of everybody who has been seen, and for all tracks together, since nobody is in two
places. A track whose person is new keeps being compared, for the first pictures may show a face from the side. Two
tracks that met begin anew when they part, and after a cut nobody's place is known any more.
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
from latentface.faces.presence import find_scored
from latentface.faces.tracking import SEARCH_SIDE, Box, Tracker

#: Unit vectors [N, D] of crops, uint8 RGB [N, S, S, 3]: the scalar product of two is high for pictures of one person.
Embed = Callable[[Pixels], FloatArray]

SAME = 0.45  # cosine from which on two tracks show one person
AGAINST = 0.1  # more of it is needed for somebody who got a number of their own
STAY = 0.25  # what a settled track's own person is ahead of others, and half of that before it is settled
#: Detection scores from which on a face may be somebody's who is known, and from which on it may be somebody new.
WEAK, SURE = -0.5, 0.2
#: Mean difference, of 255, of small copies of two frames between which the film is cut; a false cut costs little.
CUT = 12.0
EVERY = 6  # frames after which all of a picture is searched for new faces
AGAIN = 2  # the same while somebody known is not in the picture
SETTLED = 4  # pictures after which it is clear whose a track is
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
    """

    number: int
    look: FloatArray
    pictures: float = field(default=1.0)

    def learn(self, vector: FloatArray) -> None:
        """Take another picture's embedding [D] into account."""
        self.pictures = min(self.pictures + 1, PICTURES)
        self.look = _unit(self.look + (vector - self.look) / self.pictures)


@dataclass(eq=False)
class _Track:
    """A face that is followed by its place.

    Attributes:
        tracker: what follows it.
        points: its landmarks in the last picture, [68, 2].
        score: its best detection score.
        person: whose it is; None while nobody knows.
        look: the mean of its last embeddings, [D], of which there were `pictures`.
        founded: its person is known from this track alone.
        meets: it touches another track.
    """

    tracker: Tracker
    points: Float64Array
    score: float
    person: Person | None = None
    look: FloatArray | None = None
    pictures: int = 0
    founded: bool = False
    meets: bool = False

    @property
    def box(self) -> Float64Array:
        """As `box_around` gives it."""
        return alignment.box_around(self.points)

    @property
    def settled(self) -> bool:
        """Whether enough pictures of it have been compared."""
        return self.pictures >= SETTLED

    def see(self, vector: FloatArray) -> None:
        """Take another picture's embedding [D] into account."""
        self.pictures += 1
        self.look = vector if self.look is None else _unit(self.look + (vector - self.look) / min(self.pictures, SETTLED))

    def begin_anew(self) -> None:
        """What it looks like is not known any more, nor whose it is for sure."""
        self.look, self.pictures, self.founded = None, 0, False

    def gain(self, person: Person) -> float:
        """How far it looks more like a person than strangers do; negative for strangers."""
        assert self.look is not None
        stay = (STAY if self.settled else STAY / 2) if self.person is person else 0.0
        return float(self.look @ person.look) - SAME - AGAINST * self.founded + stay


class People:
    """Called with each frame of a film, it returns who is where: landmarks [68, 2] by people's numbers.

    Args:
        landmarks: the landmark predictor.
        embed: the identity embedding.
        known: people who are known already, and may appear.

    Attributes:
        known: everybody so far, in the order of their numbers.
        cuts: frames, counted from 0, before which the film is cut.
        merged: numbers of those who turned out to be others, and these ones' numbers.
    """

    def __init__(self, landmarks: LandmarkPredictor, embed: Embed, known: Sequence[Person] = ()) -> None:
        self.landmarks, self.embed = landmarks, embed
        self.known = [Person(each.number, each.look) for each in known]
        self.cuts: list[int] = []
        self.merged: dict[int, int] = {}
        self._tracks: list[_Track] = []
        self._frame, self._searched, self._last = -1, -EVERY, max((each.number for each in known), default=0)
        self._small: FloatArray | None = None

    def meet(self, picture: Pixels, faces: Sequence[Float64Array]) -> None:
        """Get to know faces [68, 2] of a picture, which get the next numbers in their order."""
        self._tracks = [self._track(points, SURE) for points in faces]
        self._look_at(picture, self._tracks)
        for track in self._tracks:
            self._found(track)

    def __call__(self, picture: Pixels) -> dict[int, Float64Array]:
        """Who is where in the next frame, uint8 RGB [H, W, 3]."""
        self._frame += 1
        if self._is_cut(picture):
            self.cuts.append(self._frame)
            self._tracks = []
        before = len(self._tracks)
        self._follow(picture)
        often = AGAIN if len(self.known) > len(self._here) else EVERY
        if len(self._tracks) < before or self.is_cut or self._frame - self._searched >= often:
            self._search(picture)
        self._tell(picture)
        return {number: track.points for number, track in sorted(self._here.items())}

    @property
    def is_cut(self) -> bool:
        """Whether the film is cut before the last frame."""
        return self.cuts[-1:] == [self._frame]

    @property
    def _here(self) -> dict[int, _Track]:
        """Tracks by people's numbers."""
        return {track.person.number: track for track in self._tracks if track.person is not None}

    def _is_cut(self, picture: Pixels) -> bool:
        height, width = picture.shape[:2]
        rows, columns = (np.arange(n) * size // n for n, size in zip(SMALL[::-1], (height, width), strict=True))
        step = max(1, min(height // SMALL[1], width // SMALL[0]) // 3)
        samples = [picture[(rows + k * step) % height][:, (columns + k * step) % width] for k in range(3)]
        small: FloatArray = np.mean(samples, axis=(0, 3))
        before, self._small = self._small, small
        return before is not None and float(np.abs(small - before).mean()) > CUT

    def _follow(self, picture: Pixels) -> None:
        """Follow the tracks by place; of two on one face, the one whose person is more like it stays."""
        for track in tuple(self._tracks):
            points = track.tracker.follow(picture)
            if points is None:
                self._tracks.remove(track)
            else:
                track.points = points
        for k, track in enumerate(tuple(self._tracks)):
            rival = next((other for other in self._tracks[k + 1 :] if _overlap(track.box, other.box) >= 0.5), None)
            if track in self._tracks and rival is not None:
                look = self._looks(picture, [track.points])[0]
                self._tracks.remove(min((rival, track), key=lambda each: each.person.look @ look if each.person else -1.0))
        for track in self._tracks:
            meets = any(other is not track and _overlap(track.box, other.box) > MET for other in self._tracks)
            if track.meets and not meets:
                track.begin_anew()
            track.meets = meets

    def _search(self, picture: Pixels) -> None:
        """Find faces that are not followed."""
        self._searched = self._frame
        for points, score in find_scored(picture, self.landmarks, SEARCH_SIDE, WEAK):
            near = [track for track in self._tracks if _overlap(track.box, alignment.box_around(points)) >= 0.3]
            for track in near:
                track.score = max(track.score, score)
            if not near:
                self._tracks.append(self._track(points, score))

    def _tell(self, picture: Pixels) -> None:
        """Look at those tracks that are due, and tell whose all of them are."""
        fresh = [track for track in self._tracks if track.look is None and (track.person is None or not track.meets)]
        if self._frame % EVERY == 0:
            fresh = [track for track in self._tracks if track.person is None or not track.meets]
        elif fresh or self._frame % AGAIN == 0:
            fresh = [track for track in self._tracks if not track.settled and (track.person is None or not track.meets)]
        if not fresh:
            return
        self._look_at(picture, fresh)
        known = [track for track in self._tracks if track.look is not None]
        taken = [track.person for track in self._tracks if track.look is None or track.founded]
        people = [person for person in self.known if person not in taken]
        gains = np.array([[track.gain(person) for person in people] for track in known]).reshape(len(known), -1)
        pairs = {i: people[j] for i, j in zip(*linear_sum_assignment(-gains.clip(0)), strict=True) if gains[i, j] > 0}
        for i, track in enumerate(known):
            if i in pairs and track.founded and track.person is not None:
                self.known.remove(track.person)
                self.merged[track.person.number] = pairs[i].number
            if i in pairs:
                track.person, track.founded = pairs[i], False
            elif not track.founded:
                track.person = None
                if track.score >= SURE and frontality(track.points) > 0.2:
                    self._found(track)
        self._tracks = [track for track in self._tracks if track.person is not None or not track.settled]

    def _look_at(self, picture: Pixels, tracks: Sequence[_Track]) -> None:
        for track, look in zip(tracks, self._looks(picture, [track.points for track in tracks]), strict=True):
            if track.person is not None and (track.founded or (track.settled and track.person.look @ look > SAME)):
                track.person.learn(look)
            track.see(look)

    def _found(self, track: _Track) -> None:
        """A track's person is somebody new."""
        assert track.look is not None
        self._last += 1
        track.person, track.founded = Person(self._last, track.look), True
        self.known.append(track.person)

    def _track(self, points: Float64Array, score: float) -> _Track:
        left, top, right, bottom = alignment.box_around(points).astype(int).tolist()
        box: Box = (left, top, right, bottom)
        return _Track(Tracker(self.landmarks, box, dense=True), points, score)

    def _looks(self, picture: Pixels, faces: Sequence[Float64Array]) -> FloatArray:
        """Embeddings [F, D] of faces and of their mirror images together."""
        crops = np.stack([glance(picture, points, SIDE).image for points in faces])
        both = self.embed(np.concatenate([crops, crops[:, :, ::-1]]))
        return _unit(both[: len(crops)] + both[len(crops) :])


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


def _unit(vectors: FloatArray) -> FloatArray:
    """Vectors [..., D] of length 1."""
    made: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return made


def _overlap(a: Float64Array, b: Float64Array) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod((high - low).clip(0)))
    areas = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]))
    return shared / max(areas - shared, 1e-9)
