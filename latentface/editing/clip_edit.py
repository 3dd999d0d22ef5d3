"""Edits of clips: a face is tracked, and its own pixels move in every frame as they do in an edited photo.

The effect of an edit is determined once, for the face at rest, and added to the motion in each frame, so that speech
and blinks are kept; or each frame is edited like a photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice, repeat

import numpy as np

from latentface import hub
from latentface.arrays import Float64Array, Pixels
from latentface.directions.meaning import DIRECTION, controls_among, is_known, move_head
from latentface.editing.head_placement import HeadPlacer, Note
from latentface.editing.keyframes import Keyframes
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import WhichFace
from latentface.faces.person_tracker import PersonTracker
from latentface.head.control_names import check_parts
from latentface.head.controls import check_changes, is_control, restrict
from latentface.head.expression_match import match_expression
from latentface.head.fit import HeadFit
from latentface.head.geometry import ramp
from latentface.head.shown_mouth import Kept
from latentface.head.view import HeadView
from latentface.io.clip import Clip, Frame
from latentface.io.kept_frames import KeptFrames, pack, unpack
from latentface.io.provenance import COMPOSITE
from latentface.motion.driver import LOOKED_AT, Latest
from latentface.motion.head_driver import HeadDriver, HeadFollower
from latentface.motion.head_motion import HeadMotion
from latentface.motion.head_retargeting import HeadRetargeting
from latentface.motion.in_order import free_cores, in_order
from latentface.motion.lids import Lids
from latentface.options.clips import AnimateOptions, ClipOptions

#: A head, changed.
Change = Callable[[HeadFit], HeadFit]
#: The change at a time in seconds of a face that looks so at rest; asked for with increasing times.
ChangeOver = Callable[[Fraction, HeadFit], Change]

RESTING = 12  # frames, of the first `LOOKED_AT`, whose median is the face at rest
#: Degrees of yaw or pitch over which an edit fades, since a head that is turned farther cannot be fitted.
TURNED = (42.0, 57.0)
#: Largest weight that a relative edit reaches in a frame, but for lids and eyeballs: with 1 a mouth that is wide open
#: by itself would stay at the end of its range, and every error of its fit would show.
MOST = 1.25
SHUT = 0.5  # lids that have closed by more show nothing of an eye
FADE = 0.25  # seconds in which an edit comes back after a face was lost, and that of a mouth goes when it is hidden
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
    landmarks: str = "builtin", name: str = "the clip", note: Note | None = None, kept: KeptFrames | None = None,
) -> EditedClip:  # fmt: skip
    """One face of a film, changed in every frame; times, sound and all other pixels stay.

    Faces that stand beside it in the frame where it is found keep still, for as long as they can be followed.

    Args:
        clip: the film.
        change: what becomes of the head at a time; see `change_by_name`, `change_to_expression`, `change_by_clip` and
            `options.mode`.
        options: how; by default `ClipOptions()`.
        face: which face of the first frame that shows any, counted from 1; by default the largest.
        landmarks: as `latentface.align` takes it.
        name: of the clip, for messages.
        note: told what the user should know, in one line.
        kept: the frames that an earlier run has finished, and that this one finishes. The face is followed through the
            former again, since its state is needed afterwards, but they are not rendered again.

    Raises:
        NoFaceFound: none of the first frames shows a face.
        InputError: it has fewer faces than `face`.
    """
    editor = _ClipEditor(change, options or ClipOptions(), landmarks, name, note, kept, face)
    beginning, clip = clip.ahead(LOOKED_AT)
    editor.begin(islice(beginning, LOOKED_AT))
    frames = editor.frames(clip, 0 if clip.live else editor.at_once)
    return EditedClip(replace(clip, frames=frames, source_type=COMPOSITE), editor.report)


def change_by_name(keyframes: Keyframes, only: Sequence[str] = ()) -> ChangeOver:
    """What directions of known meaning and controls, by name, do to a head over time.

    Args:
        keyframes: their values.
        only: parts of the face that change, as `restrict` takes them; all if empty.

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

    def change(time: Fraction, rest: HeadFit) -> Change:
        values = keyframes.at(float(time))
        return _of_parts(lambda fit: move_head(fit, values), only)

    check_parts(only)
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
    check_parts(only)
    made = _of_parts(lambda fit: match_expression(model, fit, theirs, strength), only)
    return lambda time, rest: made


def change_by_clip(
    driver: Clip,
    strength: float = 1.0,
    only: Sequence[str] = (),
    landmarks: str = "builtin",
    face: WhichFace = None,
) -> ChangeOver:
    """The expression of the face in another clip, at each time that of its frame, as `change_to_expression` takes it.

    Args:
        driver: the other clip; its last frame is held when it ends first.
        strength: how much of the difference, 1 for all of it.
        only: parts of the face that change, as `restrict` takes them; all if empty.
        landmarks: as `latentface.align` takes it.
        face: whose face of the other clip, as `edit_clip` takes it.

    Raises:
        UsageError: an unknown part.
        NoFaceFound: raised by the first change; no frame of the driver shows a face.
    """
    check_parts(only)
    seen: list[tuple[HeadRetargeting, Latest[HeadMotion]]] = []

    def change(time: Fraction, rest: HeadFit) -> Change:
        if not seen:
            seen.append(_heads_of(driver, rest, landmarks, face))
        person, latest = seen[0]
        motion = latest(time)
        if motion is None:
            return lambda fit: fit
        return change_to_expression(person(motion), strength, only)(time, rest)

    return change


def _heads_of(
    driver: Clip, rest: HeadFit, landmarks: str, face: WhichFace
) -> tuple[HeadRetargeting, Latest[HeadMotion]]:
    """The driver's own head for its motions, and its motion over time.

    The person is fitted where the face is most like the one at rest without its expression.
    """
    model, predictor = hub.head_model(), hub.landmark_predictor(landmarks)
    calm = replace(rest, expression=np.zeros_like(rest.expression)).landmarks(model)
    person = hub.person_tracker(face, landmarks, "the clip of the expression")
    heads = HeadDriver(driver, model, predictor, AnimateOptions(), calm, person)
    own = HeadRetargeting(model, heads.person, heads.reference, AnimateOptions(mode="absolute"))
    return own, Latest(iter(heads))


def _of_parts(change: Change, only: Sequence[str]) -> Change:
    """The same change of some parts alone; of all if empty."""
    return (lambda fit: restrict(fit, change(fit), only)) if only else change


@dataclass(frozen=True, eq=False)
class _Step:
    """A frame, and what is to be done with the head in it.

    Attributes:
        placer: what moves the head; None where there is none.
        after: the head after the edit.
        share: of the change of the mouth.
        kept: what of the mouth that the frame shows is.
        record: of the finished frame, if an earlier run has kept it.
    """

    frame: Frame
    placer: HeadPlacer | None = None
    after: HeadFit | None = None
    share: float = 1.0
    kept: Kept | None = None
    record: bytes | None = None

    @property
    def face(self) -> Float64Array | None:
        """The landmarks [68, 2] of the face that is drawn; None where there is none."""
        return None if self.placer is None or self.after is None else self.placer.landmarks(self.after)


class _Fade:
    """A share that reaches what it is to be within `FADE` seconds, so that nothing jumps from frame to frame."""

    def __init__(self, value: float, time: Fraction | None = None) -> None:
        self.value, self._time = value, time

    def __call__(self, aim: float, time: Fraction) -> float:
        """The share in the next frame; the first one has its aim."""
        step = 1.0 if self._time is None else float(time - self._time) / FADE
        self.value += float(np.clip(aim - self.value, -step, step))
        self._time = time
        return self.value


class _Track:
    """What the frames of a track, in which a face is seen without a break, have in common.

    Args:
        picture: the first of them.
        fit: the head in it.
        points: its landmarks [68, 2].
        worn: whether it wears spectacles.
        there: how much of the edit is made.
    """

    def __init__(self, picture: Pixels, fit: HeadFit, points: Float64Array, worn: bool, there: _Fade) -> None:
        self.there, self.mouth = there, _Fade(1.0)
        self._teeth, self._cavity = _Fade(1.0), _Fade(1.0)
        self._lids = Lids(picture, points)
        self._steady = replace(HeadPlacer(picture, fit).steady, worn=worn)

    def place(
        self, picture: Pixels, fit: HeadFit, points: Float64Array, others: Sequence[Float64Array], note: Note
    ) -> tuple[HeadPlacer, float]:
        """What moves the head in the next frame, and how far its lids are shut."""
        shut = float(self._lids(picture, points).max())
        placer = HeadPlacer(picture, fit, others, note, replace(self._steady, shut=shut > SHUT))
        self._steady = placer.steady
        return placer, shut

    def kept(self, worth: Kept, time: Fraction) -> Kept:
        """What is kept of the mouth that the next frame shows, by what is worth it there."""
        return Kept(self._teeth(worth.row, time), self._cavity(worth.cavity, time))


class _ClipEditor:
    def __init__(
        self,
        change: ChangeOver,
        options: ClipOptions,
        landmarks: str,
        name: str,
        note: Note | None = None,
        kept: KeptFrames | None = None,
        face: WhichFace = None,
    ) -> None:
        self.change, self.options, self.landmarks, self.name = change, options, landmarks, name
        self.note, self.report, self.kept = _once(note), ClipEditReport(), kept
        self._tracker = hub.person_tracker(face, landmarks, name, lone=False)
        self._rest: HeadFit | None = None
        self._worn = False
        self.at_once = 1

    def begin(self, frames: Iterator[Frame]) -> None:
        """Find the face in the first frames of the film, and what it looks like at rest."""
        follower, k = None, -1
        found: list[tuple[HeadFit, Float64Array] | None] = []
        worn: list[bool] = []
        for k, frame in enumerate(frames):
            picture = np.ascontiguousarray(frame.pixels[..., :3])
            if follower is None:
                points = self._tracker.begin(picture)
                if points is None:
                    continue
                self.at_once = HeadView.of(picture, points).at_once(free_cores())
                follower, _ = self._follower()
            if not found or k % (LOOKED_AT // RESTING) == 0:
                found.append(follower(picture))
                if found[-1] is not None:
                    worn.append(HeadPlacer(picture, found[-1][0]).spectacles is not None)
        if follower is None:
            raise NoFaceFound(f"{self.name}: no face in its first {k + 1} frames; begin the clip where one is seen")
        heads = [head[0] for head in found if head is not None]
        if heads:
            self._rest = replace(heads[0], expression=np.median([fit.expression for fit in heads], axis=0))
            self._worn = sum(worn) > len(worn) / 2

    def frames(self, clip: Clip, workers: int) -> Iterator[Frame]:
        """The finished frames, computed by so many workers; what has been kept is taken from there."""
        for frame, record in in_order(self.follow(clip), self.finish, workers):
            if self.kept is not None and record:
                self.kept.add(record)
            yield frame

    def finish(self, step: _Step) -> tuple[Frame, bytes]:
        """The finished frame, and the record to keep; empty if there is one already, or none is wanted."""
        before = step.frame.pixels
        if step.record is not None:
            return replace(step.frame, pixels=unpack(step.record, before), face=step.face), b""
        made = self.render(step)
        return made, pack(made.pixels, before) if self.kept is not None else b""

    def follow(self, clip: Clip) -> Iterator[_Step]:
        """The head in every frame."""
        follower, tracker = self._follower()
        number, rest, missed = -1, self._rest, None
        records: Iterator[bytes | None] = iter(self.kept.records() if self.kept is not None else ())
        for frame, record in zip(tracker.ahead(clip), chain(records, repeat(None)), strict=False):
            self.report.frames += 1
            picture = np.ascontiguousarray(frame.pixels[..., :3])
            found = follower(picture)
            if found is None:
                self.report.untouched += 1
                missed = frame.time
                yield _Step(frame, record=record)
                continue
            fit, points = found
            rest = fit if rest is None else rest
            if number != tracker.track:
                back = missed is not None and not tracker.people.is_cut
                there = _Fade(0.0, missed) if back else _Fade(1.0)
                number, track = tracker.track, _Track(picture, fit, points, self._worn, there)
            placer, shut = track.place(picture, fit, points, tracker.others, self.note)
            change = self.change(frame.time, rest)
            after = self._changed(placer.fit, rest, change, shut, track.there(1.0, frame.time))
            share = track.mouth(1.0 - placer.hides(after), frame.time)
            yield _Step(frame, placer, after, share, track.kept(placer.kept, frame.time), record)

    def render(self, step: _Step) -> Frame:
        """The edited frame."""
        frame = step.frame
        if step.placer is None or step.after is None:
            return frame
        made: Pixels = step.placer.place(step.after, share=step.share, kept=step.kept)
        return replace(frame.with_colours(made), face=step.face)

    def _changed(self, fit: HeadFit, rest: HeadFit, change: Change, shut: float, there: float) -> HeadFit:
        """The head of a frame after a share of the edit; shut eyes stay so, since there is none to open."""
        absolute = self.options.mode == "absolute"
        before = fit if absolute else rest
        after = change(before)
        turned = np.array([max(abs(fit.yaw), abs(fit.pitch))])
        share = there * float(1 - ramp(turned, *TURNED)[0])
        moved = share * (after.expression - before.expression)
        eyes = np.array([name.startswith(EYES) for name in fit.expression_names])
        moved[eyes] *= 1 - shut
        most = np.maximum(np.where(eyes, 1.0, MOST), np.maximum(fit.expression, after.expression))
        turn = (share * (b - a) for a, b in zip(before.pose, after.pose, strict=True))
        made = replace(fit, expression=np.clip(fit.expression + moved, 0.0, most))
        return made.with_pose(*turn, relative=True)

    def _follower(self) -> tuple[HeadFollower, PersonTracker]:
        predictor = hub.landmark_predictor(self.landmarks)
        tracker = self._tracker.again()
        return HeadFollower(hub.head_model(), predictor, tracker=tracker), tracker


def _once(note: Note | None) -> Note:
    """A note that is passed on the first time only: what is true of one frame is true of many."""
    said: set[str] = set()

    def tell(text: str) -> None:
        if note is not None and text not in said:
            said.add(text)
            note(text)

    return tell
