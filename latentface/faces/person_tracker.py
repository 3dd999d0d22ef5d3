"""One person followed through a film: chosen in its first frame with a face, then told by `People`, or alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.faces.alignment import BuiltinLandmarks, glance
from latentface.faces.crop import WhichFace, face_number
from latentface.faces.people import Here, People
from latentface.faces.presence import best_face, find_faces
from latentface.faces.tracking import SEARCH_SIDE, Box, Tracker, look_near, whole_box
from latentface.io.clip import Clip, Frame

CROP = 256  # side of the crops among which a person is chosen


class PersonTracker:
    """Called with each frame as a `Tracker`, it returns the landmarks [68, 2] of one of the people, or None.

    Args:
        people: who follows everybody.
        who: who is meant of those in the first frame that shows any face, as `pick_face` takes it; by default the
            largest.
        name: of the clip, for messages.
        lone: if nobody is meant in particular and that frame shows one face alone, follow the best face, whosever it
            is, as `Tracker` does: nobody else is searched for, which takes less time.

    Attributes:
        track: how often that person has come into the picture, or been in it after a cut.
        others: the landmarks of everybody else in the last frame.
        box: of that person's face in the last frame, in whole pixels, or None.
    """

    def __init__(self, people: People, who: WhichFace = None, name: str = "the clip", *, lone: bool = False) -> None:
        self.people, self.who, self.name = people, who, name
        self.number: int | None = None
        self.track, self.others = 0, tuple[Float64Array, ...]()
        self._lone = lone and who is None
        self._alone: Tracker | None = None
        self._seen = False
        self.box: Box | None = None
        self._here: Here | None = None  # who is in the frame that was read ahead

    def begin(self, picture: Pixels) -> Float64Array | None:
        """Choose the person in the first frame with a face: their landmarks [68, 2], or None if it shows none.

        Raises:
            InputError: none of its faces is meant.
        """
        landmarks = self.people.landmarks
        faces = find_faces(picture, landmarks, SEARCH_SIDE if self._lone else max(picture.shape))
        if not faces:
            return None
        if self._lone and len(faces) == 1:
            self._alone, self.number = Tracker(landmarks, dense=True), 1
            return faces[0]
        crops = [glance(picture, points, CROP) for points in faces]
        self.number = face_number(crops, self.who, f"{self.name}, in its first frame with a face,")
        self.people.meet(picture, faces)
        return faces[self.number - 1]

    def again(self) -> PersonTracker:
        """The same for the same film from its beginning, with the person that was chosen."""
        people = self.people
        made = PersonTracker(People(people.landmarks, people.embed, people.known), self.who, self.name)
        made.number = self.number
        made._alone = None if self._alone is None else Tracker(people.landmarks, dense=True)
        return made

    def find(self, picture: Pixels) -> Float64Array | None:
        """Landmarks [68, 2] of that person in one of some frames; None if they are not in it.

        The frames are searched, or if nobody else is in them, looked at where the face was in the one before.
        """
        landmarks = self.people.landmarks
        if self._alone is not None:
            return self._alone(picture)
        if self.number is None:
            return best_face(picture, landmarks)
        faces = find_faces(picture, landmarks, SEARCH_SIDE)
        return self.people.find(picture, faces, self.number) if faces else None

    def look_closer(self, picture: Pixels, points: Float64Array) -> Float64Array:
        """What `find` has found in a picture, more exactly: it looks once where the face is expected to be."""
        landmarks = self.people.landmarks
        if self._alone is None or not isinstance(landmarks, BuiltinLandmarks):
            return points
        return look_near(landmarks, picture, points)

    def ahead(self, clip: Clip) -> Iterator[Frame]:
        """The frames of a clip; of one that is not live some are read ahead, so that it is better known who is who.

        Call the tracker with the picture of each frame before the next one is taken.
        """
        frames = iter(clip)
        for frame in frames:
            if self.number is not None or self.begin(_rgb(frame)) is not None:
                frames = chain([frame], frames)
                break
            self._here = {}
            yield frame
        if self._alone is not None or clip.live:
            self._here = None
            yield from frames
            return
        for frame, here in self.people.through((each, _rgb(each)) for each in frames):
            self._here = here
            yield frame

    def __call__(self, picture: Pixels) -> Float64Array | None:
        """Where that person is in uint8 RGB [H, W, 3]."""
        if self._here is None and self.number is None and self.begin(picture) is None:
            return None
        if self._alone is not None:
            points = self._alone(picture)
            self.track, self.box = self._alone.track, self._alone.box
            return points
        here = self.people(picture) if self._here is None else dict(self._here)
        points = here.pop(self.number, None) if self.number is not None else None
        self.box = None if points is None else whole_box(points)
        self.others = tuple(here.values())
        self.track += points is not None and (self.people.is_cut or not self._seen)
        self._seen = points is not None
        return points


def _rgb(frame: Frame) -> Pixels:
    return np.ascontiguousarray(frame.pixels[..., :3])
