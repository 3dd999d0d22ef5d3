"""Faces of a film followed by their place, from frame to frame, whosever they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from latentface.arrays import Float64Array, FloatArray, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor, overlap
from latentface.faces.appearance import Embed, likeness, looks_of
from latentface.faces.presence import find_boxes
from latentface.faces.stretch import MET, SURE, WEAK, Person, Stretch
from latentface.faces.tracking import SEARCH_SIDE, Tracker, is_steady

#: Median difference, of 255, of small copies of two frames between which the film is cut. People who walk change a
#: smaller part of the picture, by as much.
CUT = 8.0
EVERY = 6  # frames after which all of a picture is searched for new faces, and all faces are looked at
AGAIN = 2  # the same while somebody known is not in the picture, or was lost
AWAY = 12  # frames ago at most
STILL = 0.6  # cosine from which on a face whose pixels changed is still the same
AKIN = 0.45  # the same of one that the detector does not find: no stranger and nothing that hides a face came so near
STEADY, LOOSE = 0.004, 0.02  # `is_steady` of what may be a new face, and of one that the detector does not find
REACH, GROWTH = 1.0, 1.3  # how far a face moves from one frame to the next at most, in its sides, and how much it grows
NEAR, ONE = 0.3, 0.5  # intersection over union of boxes from which on they belong together, and show one face
_SMALL = (32, 18)


@dataclass(eq=False)
class Track:
    """A face that is followed by its place.

    Attributes:
        tracker: what follows it.
        points: its landmarks in the last picture, [68, 2].
        stretch: what is known of it since it could last be mistaken for another.
        meets: it touches another track.
    """

    tracker: Tracker
    points: Float64Array
    stretch: Stretch
    meets: bool = False

    @property
    def box(self) -> Float64Array:
        """As `box_around` gives it."""
        return alignment.box_around(self.points)

    def may_reach(self, points: Float64Array) -> bool:
        """Whether the face may be at landmarks [68, 2] in the next picture, though it was not found by its place."""
        (left, top, right, bottom), there = self.box, alignment.box_around(points)
        side, away = right - left, there[:2] + there[2:] - [left + right, top + bottom]
        return bool(np.abs(away).max() / 2 < REACH * side and 1 / GROWTH < (there[2] - there[0]) / side < GROWTH)


class Tracks:
    """Called with each frame of a film, it follows the faces by their places, and looks at them now and then.

    Args:
        landmarks: the landmark predictor.
        embed: the identity embedding.

    Attributes:
        known: people who may appear.
        by_look: faces that the detector does not find are followed while they look like themselves. Not where they are
            named at once, since whose they are is hard to tell.
        here: those in the last frame.
        frame: its number, from 0.
        is_cut: the film is cut before it.
        shot: how many cuts there have been.
    """

    def __init__(self, landmarks: LandmarkPredictor, embed: Embed) -> None:
        self.landmarks, self.embed = landmarks, embed
        self.known: Sequence[Person] = ()
        self.by_look = False
        self.here: list[Track] = []
        self.frame, self.is_cut, self.shot = -1, False, 0
        self._searched, self._lost = -EVERY, -AWAY
        self._small: FloatArray | None = None

    def __call__(self, picture: Pixels, missed: bool = False) -> None:
        """Follow them into the next frame, uint8 RGB [H, W, 3]; `missed`: search more often, for somebody known."""
        self.frame += 1
        self.is_cut = self._cut(picture)
        if self.is_cut:
            self.here, self.shot = [], self.shot + 1
        before = tuple(self.here)
        self._follow(picture)
        lost = [track for track in before if track not in self.here]
        self._lost = self.frame if lost else self._lost
        missed = missed or self.frame - self._lost < AWAY
        if lost or self.is_cut or self.frame - self._searched >= (AGAIN if missed else EVERY):
            self._search(picture, lost)
        self._look(picture)
        for track in self.here:
            track.stretch.ended, track.stretch.last = self.frame, track.box
            track.stretch.meet({other.stretch for other in self.here if other is not track})

    def begin(self, points: Float64Array, score: float) -> Track:
        """Follow a face at landmarks [68, 2] of the last picture."""
        stretch = Stretch(self.shot, self.frame, alignment.box_around(points), score)
        self.here.append(Track(Tracker.of_film(self.landmarks, points), points, stretch))
        return self.here[-1]

    def is_akin(self, stretch: Stretch, picture: Pixels, points: Float64Array) -> bool:
        """Whether landmarks [68, 2] in a picture where the detector finds no face are those of a stretch nevertheless.

        What was found once and weakly may be part of the background, which always looks like itself.
        """
        is_somebody = stretch.score >= SURE or any(stretch.likeness(person.look) >= AKIN for person in self.known)
        is_face = is_somebody and is_steady(self.landmarks, picture, points, LOOSE)
        return is_face and likeness(stretch, picture, points, self.embed) >= AKIN

    def _cut(self, picture: Pixels) -> bool:
        height, width = picture.shape[:2]
        rows, columns = (np.arange(n) * size // n for n, size in zip(_SMALL[::-1], (height, width), strict=True))
        step = max(1, min(height // _SMALL[1], width // _SMALL[0]) // 3)
        samples = [picture[(rows + k * step) % height][:, (columns + k * step) % width] for k in range(3)]
        small: FloatArray = np.mean(samples, axis=(0, 3))
        before, self._small = self._small, small
        return before is not None and float(np.median(np.abs(small - before))) > CUT

    def _follow(self, picture: Pixels) -> None:
        """Follow the tracks; of two on one face, the one that looked more like it stays."""
        for track in tuple(self.here):
            akin = partial(self.is_akin, track.stretch, picture) if self.by_look else None
            points = track.tracker.follow(picture, akin)
            if points is None:
                self._lose(track)
            else:
                track.points = points
        for track, rival in combinations(tuple(self.here), 2):
            both = track in self.here and rival in self.here
            if both and overlap(track.box, rival.box) >= ONE:
                self._lose(rival if self._likeness(picture, rival) < self._likeness(picture, track) else track)
        for track in self.here:
            meets = any(other is not track and overlap(track.box, other.box) > MET for other in self.here)
            changed = track.tracker.changed and self._likeness(picture, track) < STILL
            if changed or (track.meets and not meets):
                track.stretch.lost = True
                track.stretch = Stretch(self.shot, self.frame, track.box, track.stretch.score, followed_back=True)
            track.meets = meets

    def _likeness(self, picture: Pixels, track: Track) -> float:
        """How much a face looks like before: a cosine."""
        return likeness(track.stretch, picture, track.points, self.embed)

    def _lose(self, track: Track) -> None:
        self.here.remove(track)
        track.stretch.lost = True

    def _search(self, picture: Pixels, lost: Sequence[Track]) -> None:
        """Find faces that are not followed; those of tracks that were just lost go on where they are found."""
        self._searched = self.frame
        for box, score in zip(*find_boxes(picture, SEARCH_SIDE, WEAK), strict=True):
            near = [track for track in self.here if overlap(track.box, box) >= NEAR]
            for track in near:
                track.stretch.score = max(track.stretch.score, float(score))
            if near:
                continue
            points = np.asarray(self.landmarks(picture, box[None])[0])
            alone = all(overlap(track.box, alignment.box_around(points)) < NEAR for track in self.here)
            if alone and is_steady(self.landmarks, picture, points, STEADY):
                moved = self._moved(picture, points, lost)
                self.begin(points, float(score)) if moved is None else self._go_on(moved, points, float(score))

    def _moved(self, picture: Pixels, points: Float64Array, lost: Sequence[Track]) -> Track | None:
        """The track, of those just lost, that moved to landmarks [68, 2] too quickly to be followed; None if none did.

        One that touched another is not told by a single look.
        """
        apart = [track for track in lost if track not in self.here and not track.meets and track.may_reach(points)]
        alike = [likeness(track.stretch, picture, points, self.embed) for track in apart]
        return apart[int(np.argmax(alike))] if max(alike, default=-1.0) >= STILL else None

    def _go_on(self, track: Track, points: Float64Array, score: float) -> None:
        """Follow a track that was lost from landmarks [68, 2], where it was found again; it is expected to move on."""
        track.tracker = Tracker.of_film(self.landmarks, points, track.points)
        track.points, track.stretch.lost = points, False
        track.stretch.score = max(track.stretch.score, score)
        self.here.append(track)

    def _look(self, picture: Pixels) -> None:
        """Look at those tracks that are due; not at faces in front of each other, unless they are new."""
        due = [track for track in self.here if not track.meets or not track.stretch.pictures]
        if self.frame % EVERY:
            due = [track for track in due if not track.stretch.settled]
        if due:
            looks = looks_of(picture, [track.points for track in due], self.embed)
            for track, look in zip(due, looks, strict=True):
                track.stretch.see(look, track.points)
