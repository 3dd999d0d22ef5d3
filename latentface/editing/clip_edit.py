"""Edits of clips: a face is tracked, and its own pixels move in every frame as they do in an edited photo.

The effect of an edit is determined once, for the face at rest, and added to the motion in each frame, so that speech
and blinks are kept; or each frame is edited like a photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from latentface import api, hub
from latentface.arrays import Float64Array, Pixels
from latentface.directions.meaning import DIRECTION, controls_among, is_known, move_head
from latentface.editing.head_placement import HeadPlacer, Note
from latentface.editing.keyframes import Keyframes
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop, WhichFace, face_number
from latentface.faces.people import People, Person, PersonTracker
from latentface.head.controls import check_changes, is_control, restrict
from latentface.head.drive import Steady
from latentface.head.expression_match import match_expression
from latentface.head.fit import HeadFit
from latentface.head.geometry import ramp
from latentface.head.view import HeadView
from latentface.io.clip import Clip, Frame
from latentface.io.provenance import COMPOSITE
from latentface.motion.driver import LOOKED_AT
from latentface.motion.head_driver import HeadFollower
from latentface.motion.in_order import free_cores, in_order
from latentface.motion.lids import Lids
from latentface.options import ClipOptions

#: The head of a frame at a time in seconds, changed.
ChangeOver = Callable[[HeadFit, float], HeadFit]

RESTING = 12  # frames, of the first `LOOKED_AT`, whose median is the face at rest
#: Degrees of yaw or pitch over which an edit fades, since a head that is turned farther cannot be fitted.
TURNED = (42.0, 57.0)
#: Shapes of lids and eyeballs.
EYES = ("eyeBlink", "eyeWide", "eyeSquint", "eyeLook")


@dataclass
class ClipEditReport:
    """Frames so far, and those that were left as they are, since they show no face or one that is turned away."""

    frames: int = 0
    untouched: int = 0


@dataclass(frozen=True, eq=False)
class EditedClip:
    """``clip`` computes its frames as they are asked for; ``report`` is complete when they are through."""

    clip: Clip
    report: ClipEditReport = field(default_factory=ClipEditReport)


def edit_clip(
    clip: Clip, change: ChangeOver, options: ClipOptions | None = None, *, face: WhichFace = None,
    landmarks: str = "builtin", name: str = "the clip", note: Note | None = None,
) -> EditedClip:  # fmt: skip
    """One face of a film, changed in every frame; times, sound and all other pixels stay.

    Faces that stand beside it in the frame where it is found keep still, for as long as they can be followed.

    Args:
        clip: the film.
        change: what becomes of the head at a time; see `change_by_name` and `options.mode`.
        options: how; by default `ClipOptions()`.
        face: which face of the first frame that shows any, counted from 1; by default the largest.
        landmarks: as `latentface.align` takes it.
        name: of the clip, for messages.
        note: told what the user should know, in one line.

    Raises:
        NoFaceFound: none of the first frames shows a face.
        InputError: it has fewer faces than `face`.
    """
    editor = _ClipEditor(change, options or ClipOptions(), landmarks, name, note)
    beginning, clip = clip.ahead(LOOKED_AT)
    editor.begin(islice(beginning, LOOKED_AT), face)
    frames = in_order(editor.follow(clip), editor.render, 0 if clip.once and clip.count is None else editor.at_once)
    return EditedClip(replace(clip, frames=frames, source_type=COMPOSITE), editor.report)


def change_by_name(keyframes: Keyframes) -> ChangeOver:
    """What directions of known meaning and controls, by name, do to a head over time.

    Raises:
        UsageError: a name that is neither, or a value out of a control's range.
    """
    shapes = hub.head_model().expression_names
    for name in keyframes.names:
        if not is_control(name.removesuffix("+"), shapes) and not is_known(name.removeprefix(DIRECTION)):
            raise UsageError(
                f"{name}: a clip is edited by its head, which this does not move; name an emotion, a built-in "
                "direction of expression or pose, a control such as blink or yaw, or an ARKit shape"
            )

    def change(fit: HeadFit, seconds: float) -> HeadFit:
        return move_head(fit, keyframes.at(seconds))

    for seconds in sorted({time for keys in keyframes.keys.values() for time, _ in keys} | {0.0}):
        check_changes(controls_among(keyframes.at(seconds), shapes), shapes)
    return change


def change_to_expression(theirs: HeadFit, strength: float = 1.0, only: Sequence[str] = ()) -> ChangeOver:
    """The expression of another person's head.

    Args:
        theirs: the head in a photo.
        strength: how much of the difference, 1 for all of it.
        only: parts of the face that change, as `restrict` takes them; all if empty.
    """
    model = hub.head_model()

    def change(fit: HeadFit, seconds: float) -> HeadFit:
        after = match_expression(model, fit, theirs, strength)
        return restrict(fit, after, only) if only else after

    return change


@dataclass(frozen=True, eq=False)
class _Step:
    """A frame, and what is known of the head in it; None where there is no head.

    Attributes:
        fit: the head. rest: the same at rest. steady: what frames of its track share. shut: how far its eyes have
            closed, 0..1. others: landmarks [68, 2] of the faces beside it, which keep still.
    """

    frame: Frame
    fit: HeadFit | None = None
    rest: HeadFit | None = None
    steady: Steady | None = None
    shut: float = 0.0
    others: tuple[Float64Array, ...] = ()


class _ClipEditor:
    def __init__(self, change: ChangeOver, options: ClipOptions, landmarks: str, name: str, note: Note | None) -> None:
        self.change, self.options, self.landmarks, self.name = change, options, landmarks, name
        self.note, self.report = _once(note), ClipEditReport()
        self._people: list[Person] = []
        self._number = 1
        self._rest: HeadFit | None = None
        self.at_once = 1

    def begin(self, frames: Iterator[Frame], face: WhichFace) -> None:
        """Find the face in the first frames of the film, and what it looks like at rest."""
        follower, k = None, -1
        found: list[tuple[HeadFit, Float64Array] | None] = []
        for k, frame in enumerate(frames):
            picture = np.ascontiguousarray(frame.pixels[..., :3])
            if follower is None:
                crop = self._find(picture, face)
                if crop is None:
                    continue
                self.at_once = HeadView.of(picture, crop.landmarks).at_once(free_cores())
                follower, _ = self._follower()
            if not found or k % (LOOKED_AT // RESTING) == 0:
                found.append(follower(picture))
        if follower is None:
            raise NoFaceFound(f"{self.name}: no face in its first {k + 1} frames; begin the clip where one is seen")
        heads = [head[0] for head in found if head is not None]
        if heads:
            self._rest = replace(heads[0], expression=np.median([fit.expression for fit in heads], axis=0))

    def follow(self, clip: Clip) -> Iterator[_Step]:
        """The head in every frame."""
        follower, tracker = self._follower()
        track, rest = -1, self._rest
        for frame in clip:
            self.report.frames += 1
            picture = np.ascontiguousarray(frame.pixels[..., :3])
            found = follower(picture)
            if found is None:
                self.report.untouched += 1
                yield _Step(frame)
                continue
            fit, points = found
            if track != tracker.track:
                rest = fit if rest is None else rest
                track, lids = tracker.track, Lids(picture, points)
                steady = HeadPlacer(picture, fit, tracker.others).steady
            yield _Step(frame, fit, rest, steady, float(lids(picture, points).max()), tracker.others)

    def render(self, step: _Step) -> Frame:
        """The edited frame."""
        frame, fit = step.frame, step.fit
        if fit is None or step.rest is None:
            return frame
        picture = np.ascontiguousarray(frame.pixels[..., :3])
        placer = HeadPlacer(picture, fit, step.others, self.note, step.steady)
        made: Pixels = placer.place(self._changed(placer.fit, step.rest, frame.time, step.shut))
        return replace(frame, pixels=np.dstack([made, frame.pixels[..., 3:]]))

    def _changed(self, fit: HeadFit, rest: HeadFit, time: Fraction, shut: float) -> HeadFit:
        """The head of a frame after the edit; eyes that are shut stay so, since there is none to open."""
        absolute = self.options.mode == "absolute"
        before = fit if absolute else rest
        after = self.change(before, float(time))
        turned = np.array([max(abs(fit.yaw), abs(fit.pitch))])
        share = float(1 - ramp(turned, *TURNED)[0])
        moved = share * (after.expression - before.expression)
        moved[[name.startswith(EYES) for name in fit.expression_names]] *= 1 - shut
        most = np.maximum(fit.expression, np.maximum(after.expression, 1.0))
        turn = (share * (b - a) for a, b in zip(before.pose, after.pose, strict=True))
        made = replace(fit, expression=np.clip(fit.expression + moved, 0.0, most))
        return made.with_pose(*turn, relative=True)

    def _follower(self) -> tuple[HeadFollower, PersonTracker]:
        predictor = hub.landmark_predictor(self.landmarks)
        tracker = PersonTracker(People(predictor, hub.embed_faces, self._people), self._number)
        return HeadFollower(hub.head_model(), predictor, tracker=tracker), tracker

    def _find(self, picture: Pixels, face: WhichFace) -> FaceCrop | None:
        try:
            crops = api.align(picture, landmarks=self.landmarks)
        except NoFaceFound:
            return None
        self._number = face_number(crops, face, f"{self.name}, in its first frame with a face,")
        people = People(hub.landmark_predictor(self.landmarks), hub.embed_faces)
        people.meet(picture, [crop.landmarks for crop in crops])
        self._people = people.known
        return crops[self._number - 1]


def _once(note: Note | None) -> Note:
    """A note that is passed on the first time only: what is true of one frame is true of many."""
    said: set[str] = set()

    def tell(text: str) -> None:
        if note is not None and text not in said:
            said.add(text)
            note(text)

    return tell
