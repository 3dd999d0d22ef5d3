"""The heads of a driving clip, frame by frame, as motion since its reference frame.

The identity is taken from the reference frame and held fixed. The model's error at the landmarks of that frame is
subtracted from the landmarks of every frame, so that the coefficients change only with the motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.person_tracker import PersonTracker
from latentface.faces.tracking import Tracker
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.model import HeadModel
from latentface.io.clip import Clip, Frame
from latentface.motion.driver import DriverReport, Seen, choose_reference, follow
from latentface.motion.head_motion import HeadMotion
from latentface.motion.lids import Lids
from latentface.motion.one_euro import OneEuro
from latentface.motion.separate_process import SeparateProcess
from latentface.options.clips import AnimateOptions

SMOOTH = 0.5  # strength of the filter if the options give none


class HeadFollower:
    """Called with each picture of a film, it returns the head of the tracked face and its landmarks [68, 2].

    It returns None if there is no face, or if it is turned too far. The person's identity and the model's error at the
    landmarks are held fixed, so that fits change only with the motion.

    Args:
        model, landmarks: the morphable head and the landmark network.
        person: a fit of the person; by default the first fit of each track is used, so that a new person gets a fit of
            their own.
        tracker: what finds the face in each picture; by default the best-scored face is tracked.
    """

    def __init__(
        self,
        model: HeadModel,
        landmarks: LandmarkPredictor,
        person: HeadFit | None = None,
        tracker: Tracker | PersonTracker | None = None,
    ) -> None:
        self.model, self.person = model, person
        self.tracker = Tracker(landmarks, dense=True) if tracker is None else tracker
        self._known = person is not None
        self._last: HeadFit | None = None

    def __call__(self, picture: Pixels) -> tuple[HeadFit, Float64Array] | None:
        """The head in uint8 RGB [H, W, 3] and its landmarks."""
        track = self.tracker.track
        points = self.tracker(picture)
        if points is None:
            self._last = None
            return None
        if track != self.tracker.track:
            self._last = None
            self.person = self.person if self._known else None
        try:
            self._last = self._fit(picture, points)
        except InputError:
            self._last = None
            return None
        return self._last, points

    def _fit(self, picture: Pixels, points: Float64Array) -> HeadFit:
        if self.person is None:
            self.person = fit_head(self.model, points, picture)
            return self.person
        start = self._last
        if start is None:  # twice, since the pose may differ a lot from that of the person's fit
            start = fit_head(self.model, points - self.person.residual, start=self._moved(self.person, points))
        missed = replace(start, missing=self.person.missing).residual
        pinned = replace(start, identity=self.person.identity)
        fit = fit_head(self.model, points - missed, picture, start=pinned)
        return replace(fit, missing=fit.missing + self.person.missing)

    def _moved(self, person: HeadFit, points: Float64Array) -> HeadFit:
        """The person's own fit, moved to the position of the face in a picture."""
        moved = points[17:].mean(0) - person.landmarks(self.model)[17:].mean(0)
        return replace(person, translation=person.translation + moved)


@dataclass(frozen=True, eq=False)
class HeadLook:
    """Called with each picture of a film, uint8 RGB [H, W, 3], it returns the motion of the followed head, or None.

    Attributes:
        follower: finds the head.
        person: the fit in the reference frame.
        lids: measures them.
    """

    follower: HeadFollower
    person: HeadFit
    lids: Lids

    def __call__(self, picture: Pixels) -> HeadMotion | None:
        """The head's motion since the reference frame; None if there is no face, or one that is turned too far."""
        found = self.follower(picture)
        if found is None:
            return None
        fit, points = found
        return HeadMotion.of(self.follower.model, fit, self.person, self.lids(picture, points))


class HeadDriver:
    """Heads of a driving clip, frame by frame.

    Args:
        clip: as for `Driver`.
        model, landmarks: the morphable head and the landmark network.
        options: how.
        like: landmarks of the source face, for the best reference frame.
        person: whose head; by default the best-scored face is tracked.
        process: what looks at the frames once the reference is found; by default this process does. The clip must be
            live, since another one is not read by frames alone if there are several people.

    Raises:
        NoFaceFound: no frame that was looked at shows a face.
        InputError: the face in the reference frame is turned too far.
    """

    def __init__(
        self, clip: Clip, model: HeadModel, landmarks: LandmarkPredictor, options: AnimateOptions, like: Float64Array,
        person: PersonTracker | None = None, process: SeparateProcess | None = None,
    ) -> None:  # fmt: skip
        self.options = options
        self.clip, (index, frame, points) = choose_reference(clip, landmarks, options, like, person)
        self.report = DriverReport(reference=index)
        picture = frame.pixels[..., :3]
        self.person = fit_head(model, points, picture)
        self._tracker = None if person is None else person.again()
        follower = HeadFollower(model, landmarks, self.person, self._tracker)
        look = HeadLook(follower, self.person, Lids(picture, points))
        self._look = look if process is None else process.run(look, picture)
        self.reference = HeadMotion.of(model, self.person, self.person)

    def __iter__(self) -> Iterator[Seen[HeadMotion]]:
        """Each frame's time and head; None if the source should stay still.

        Raises:
            InputError: a frame shows no face, and that is to stop the clip.
        """
        strength = SMOOTH if self.options.smooth is None else self.options.smooth
        frames = self.clip if self._tracker is None else self._tracker.ahead(self.clip)
        return follow(frames, self.see, _Filter(strength) if strength else None, self.options.missing, self.report)

    def see(self, frame: Frame) -> HeadMotion | None:
        """A frame's head, or None if it shows no face, or one that is turned too far."""
        return self._look(frame.pixels[..., :3])


class _Filter:
    """Heads smoothed by the one-euro filter, except lids, which do not jitter while they are open."""

    def __init__(self, strength: float) -> None:
        self.steady: OneEuro[Float64Array] = OneEuro(strength)

    def __call__(self, motion: HeadMotion, time: Fraction) -> HeadMotion:
        return HeadMotion.unpack(self.steady(motion.pack(), time), motion.shut)
