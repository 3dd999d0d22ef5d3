"""The people of a film, followed through cuts and crossings by place and identity.

From frame to frame a face is followed by its place: a track. Whose track it is, the identity embeddings of its first
pictures tell, compared with those of everybody who has been seen, and for all tracks together, since nobody is in two
places. A track whose person is new keeps being compared, for the first pictures may show a face from the side. Two
tracks that met begin anew when they part, and after a cut nobody's place is known any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from latentface.arrays import Float64Array, FloatArray, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.appearance import Embed, looks_of, mixed
from latentface.faces.crop import frontality
from latentface.faces.presence import find_boxes
from latentface.faces.tracking import SEARCH_SIDE, Tracker, whole_box

SAME = 0.3  # cosine from which on two tracks show one person
AGAINST = 0.25  # more of it is needed for somebody who got a number of their own
STAY = 0.25  # what its own person is ahead of others, and whoever was lost where it began
RECENT = 25  # frames for which it is known where somebody was lost
#: Detection scores from which on a face may be somebody's who is known, from which on it is somebody new if it can be
#: followed for a while, and from which on it is somebody new at once.
WEAK, LIKELY, SURE = -0.5, -0.3, 0.0
#: Median difference, of 255, of small copies of two frames between which the film is cut. People who walk change a
#: smaller part of the picture, by as much.
CUT = 8.0
EVERY = 6  # frames after which all of a picture is searched for new faces
AGAIN = 2  # the same while somebody known is not in the picture
SETTLED = 4  # pictures after which it is clear whose a track is
#: Intersection over union of two faces' boxes from which on they may be mistaken for each other, and are one.
MET, ONE = 0.1, 0.5
SMALL = (32, 18)
PICTURES = 24.0  # the mean over so many pictures is what a person looks like


@dataclass(eq=False)
class Person:
    """Somebody in a film.

    Attributes:
        number: from 1, in the order in which they appear.
        look: the mean of their identity embeddings, a unit vector [D].
        box: of their face in the last picture of this shot that shows it, [4]; None after a cut.
        seen: the number of that picture.
        met: numbers of those who were in a picture together with them, and so are not the same.
    """

    number: int
    look: FloatArray
    box: Float64Array | None = None
    seen: int = 0
    pictures: float = 1.0
    met: set[int] = field(default_factory=set)

    def learn(self, look: FloatArray) -> None:
        """Take another picture into account."""
        self.pictures = min(self.pictures + 1, PICTURES)
        self.look = mixed(self.look, look, 1 / self.pictures)


@dataclass(eq=False)
class _Track:
    """A face that is followed by its place.

    Attributes:
        tracker: what follows it.
        points: its landmarks in the last picture, [68, 2].
        score: its best detection score.
        person: whose it is; None while nobody knows.
        look: that of its last pictures, of which there were `pictures`.
        founded: its person is known from this track alone.
        meets: it touches another track.
        start: its first box, [4].
        began: the number of its first picture.
    """

    tracker: Tracker
    points: Float64Array
    score: float
    start: Float64Array
    began: int
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

    def see(self, look: FloatArray) -> None:
        """Take another picture into account."""
        self.pictures += 1
        self.look = look if self.look is None else mixed(self.look, look, 1 / min(self.pictures, SETTLED))

    def likeness(self, look: FloatArray) -> float:
        """How much what looks so is like the person whose track it is: a cosine."""
        return -1.0 if self.person is None else float(self.person.look @ look)

    def begin_anew(self) -> None:
        """What it looks like is not known any more, nor whose it is for sure."""
        self.look, self.pictures, self.founded = None, 0, False

    def gain(self, person: Person) -> float:
        """How far it looks more like a person than strangers do; negative for strangers."""
        assert self.look is not None
        own = self.person
        if self.founded and own is not None and (person.number in own.met or person.number > own.number):
            return -1.0
        lost = self.person is None and person.box is not None and self.began - person.seen < RECENT
        stays = self.person is person or (lost and person.box is not None and _overlap(self.start, person.box) > MET)
        return float(self.look @ person.look) - SAME - AGAINST * self.founded + STAY * stays


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
            track.founded = False  # they keep their numbers

    def __call__(self, picture: Pixels) -> dict[int, Float64Array]:
        """Who is where in the next frame, uint8 RGB [H, W, 3]."""
        self._frame += 1
        if self._is_cut(picture):
            self.cuts.append(self._frame)
            self._tracks = []
            for person in self.known:
                person.box = None
        before = len(self._tracks)
        self._follow(picture)
        often = AGAIN if len(self.known) > len(self._here) else EVERY
        if len(self._tracks) < before or self.is_cut or self._frame - self._searched >= often:
            self._search(picture)
        self._tell(picture)
        here = self._here
        for track in here.values():
            if track.person is not None:
                track.person.box, track.person.seen = track.box, self._frame
                track.person.met |= here.keys()
        return {number: track.points for number, track in sorted(here.items())}

    def find(self, picture: Pixels, faces: Sequence[Float64Array], number: int) -> Float64Array | None:
        """Which of the faces [68, 2] of a picture is a person's; None if none is."""
        likeness = looks_of(picture, faces, self.embed) @ np.stack([person.look for person in self.known]).T
        rows, columns = linear_sum_assignment(-likeness)
        column = next(k for k, person in enumerate(self.known) if person.number == number)
        return next(
            (faces[i] for i, j in zip(rows, columns, strict=True) if j == column and likeness[i, j] > SAME), None
        )

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
        return before is not None and float(np.median(np.abs(small - before))) > CUT

    def _follow(self, picture: Pixels) -> None:
        """Follow the tracks by place; of two on one face, the one whose person is more like it stays."""
        for track in tuple(self._tracks):
            points = track.tracker.follow(picture)
            if points is None:
                self._tracks.remove(track)
            else:
                track.points = points
        for track, rival in combinations(tuple(self._tracks), 2):
            both = track in self._tracks and rival in self._tracks
            if both and _overlap(track.box, rival.box) >= ONE:
                look = looks_of(picture, [track.points], self.embed)[0]
                self._tracks.remove(min((rival, track), key=lambda each: each.likeness(look)))
        for track in self._tracks:
            meets = any(other is not track and _overlap(track.box, other.box) > MET for other in self._tracks)
            if track.meets and not meets:
                track.begin_anew()
            track.meets = meets

    def _search(self, picture: Pixels) -> None:
        """Find faces that are not followed."""
        self._searched = self._frame
        for box, score in zip(*find_boxes(picture, SEARCH_SIDE, WEAK), strict=True):
            near = [track for track in self._tracks if _overlap(track.box, box) >= 0.3]
            for track in near:
                track.score = max(track.score, float(score))
            if not near:
                points = np.asarray(self.landmarks(picture, box[None])[0])
                if all(_overlap(track.box, alignment.box_around(points)) < 0.3 for track in self._tracks):
                    self._tracks.append(self._track(points, float(score)))

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
                if track.score >= (LIKELY if track.settled else SURE) and frontality(track.points) > 0.2:
                    self._found(track)
        self._tracks = [track for track in self._tracks if track.person is not None or not track.settled]

    def _look_at(self, picture: Pixels, tracks: Sequence[_Track]) -> None:
        for track, look in zip(tracks, looks_of(picture, [track.points for track in tracks], self.embed), strict=True):
            person = track.person
            if person is not None and (track.founded or (track.settled and person.look @ look > SAME)):
                person.learn(look)
            track.see(look)

    def _found(self, track: _Track) -> None:
        """A track's person is somebody new."""
        assert track.look is not None
        self._last += 1
        track.person, track.founded = Person(self._last, track.look), True
        self.known.append(track.person)

    def _track(self, points: Float64Array, score: float) -> _Track:
        tracker = Tracker(self.landmarks, whole_box(points), dense=True)
        return _Track(tracker, points, score, alignment.box_around(points), self._frame)


def _overlap(a: Float64Array, b: Float64Array) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod((high - low).clip(0)))
    areas = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]))
    return shared / max(areas - shared, 1e-9)
