"""The driver of a face: the keypoints of a driving clip, frame by frame, transferred to another face.

Eq. numbers are those of Siarohin et al. 2019; the one-euro filter is Casiez et al. 2012.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError, NoFaceFound
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.presence import PRESENCE_SIDE, Presence, best_face
from latentface.faces.square import SIDE, Square, shrink
from latentface.io.clip import Clip, Frame
from latentface.io.images import to_tensor
from latentface.motion.face_model import FaceModel, Points
from latentface.motion.free_view import FreeViewRetargeting, HeadFilter
from latentface.motion.one_euro import OneEuro
from latentface.networks.motion.geometry import Keypoints, invert, multiply
from latentface.networks.vid2vid.geometry import Head
from latentface.options.clips import AnimateOptions

if TYPE_CHECKING:
    from latentface.faces.person_tracker import PersonTracker

State = TypeVar("State")  # the state of the face in a frame: keypoints, the state or the motion of a head
_Rated: TypeAlias = "tuple[float, int, Frame, Float64Array]"  # how unlike the source; number, frame, landmarks
Seen: TypeAlias = "tuple[Fraction, State | None]"  # time and state of a frame; None: the source stays still

SHORTLIST = 4  # frames that are looked at once more before the best one is chosen
LOOKED_AT = 48  # frames among which the best one is searched; they are kept if a clip can be iterated over only once


def unlikeness(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Mean squared distance of two sets of landmarks [K, 2], each centred and scaled to a hull of area 1."""

    def normal(points: NDArray[np.floating]) -> Float64Array:
        centred = points - points.mean(0)
        return np.asarray(centred / math.sqrt(ConvexHull(centred).volume))

    return float(np.square(normal(a) - normal(b)).sum(1).mean())


@dataclass
class DriverReport:
    """Statistics of a driving clip's frames, filled while they are read."""

    frames: int = 0
    missing: list[int] = field(default_factory=list)
    reference: int = 0


class Driver(Generic[Points]):
    """Keypoints of a driving clip, frame by frame, all detected in the square of the reference frame's face.

    Args:
        clip: read twice if possible, in order to find the reference frame. For a clip that can be read only once, such
            as that of a camera, the reference is searched among the first LOOKED_AT frames, which are kept meanwhile,
            so that every frame is used.
        model, landmarks: networks.
        options: how.
        like: landmarks of the source face, for the best reference frame.
        person: whose face; by default the best-scored one.

    Raises:
        NoFaceFound: none of the searched frames shows a face.
    """

    def __init__(
        self, clip: Clip, model: FaceModel[Points], landmarks: LandmarkPredictor, options: AnimateOptions,
        like: Float64Array, person: PersonTracker | None = None,
    ) -> None:  # fmt: skip
        self.model: FaceModel[Points] = model
        self.options = options
        self.clip, (index, frame, points) = choose_reference(clip, landmarks, options, like, person)
        self.report, self._presence = DriverReport(reference=index), Presence()
        self.square = Square.around(points, options.driver_crop * SIDE * model.config.square)
        self.reference: Points = keypoints_of(self.square.cut(frame.pixels[..., :3]), model)

    def __iter__(self) -> Iterator[Seen[Points]]:
        """Each frame's time and keypoints; None if the source should stay still.

        Raises:
            InputError: a frame shows no face, and `missing` is "stop".
        """
        smooth = smoother(self.reference, self.options.smooth) if self.options.smooth else None
        return follow(self.clip, self.see, smooth, self.options.missing, self.report)

    def see(self, frame: Frame) -> Points | None:
        """A frame's keypoints, or None if it shows no face in the square of the reference."""
        square = self.square.cut(frame.pixels[..., :3])
        small = shrink(square, self.model.config.resolution)  # large enough for the search as well, as a rule
        if self.options.missing != "ignore" and not self._presence(square if len(small) < PRESENCE_SIDE else small):
            return None
        found: Points = keypoints_of(small, self.model)
        return found


def follow(
    clip: Iterable[Frame],
    see: Callable[[Frame], State | None],
    smooth: Callable[[State, Fraction], State] | None,
    missing: str,
    report: DriverReport,
) -> Iterator[Seen[State]]:
    """Each frame's time and state, with the rule for frames that show no face; see `AnimateOptions.missing`.

    Args:
        clip: the driver.
        see: returns a frame's state, or None if it shows no face.
        smooth: smooths the states over time; None for no smoothing.
        missing: what to do if no face is found.
        report: filled while frames are read.

    Raises:
        InputError: a frame shows no face, and `missing` is "stop".
    """
    held: State | None = None
    for index, frame in enumerate(clip):
        report.frames += 1
        state = see(frame)
        if state is None:
            report.missing.append(index)
            if missing == "stop":
                seconds = float(frame.time)
                raise InputError(f"no face in frame {index} ({seconds:.2f} s) of the driving clip; see --missing")
            yield frame.time, held if missing == "hold" else None
            continue
        held = smooth(state, frame.time) if smooth else state
        yield frame.time, held


def choose_reference(
    clip: Clip,
    landmarks: LandmarkPredictor,
    options: AnimateOptions,
    like: Float64Array,
    person: PersonTracker | None = None,
) -> tuple[Clip, tuple[int, Frame, Float64Array]]:
    """The clip, ready to be read afterwards, and its reference frame from `find_reference`.

    For a clip that can be read only once, it is searched among the first LOOKED_AT frames, which are kept.
    """
    best = options.best_frame and options.mode == "relative"
    beginning, whole = clip.ahead(LOOKED_AT)
    step = max(1, math.ceil((clip.count or 8 * LOOKED_AT) / LOOKED_AT)) if best and not clip.once else 1
    return whole, find_reference(beginning, landmarks, like, best, step, person)


def find_reference(
    frames: Iterable[Frame],
    landmarks: LandmarkPredictor,
    like: Float64Array,
    best: bool,
    step: int = 1,
    person: PersonTracker | None = None,
) -> tuple[int, Frame, Float64Array]:
    """The reference frame of the motion, its number and the landmarks [68, 2] of its face.

    best: among every step-th frame, the one most similar to these landmarks; otherwise the first that shows a face.
    person: whose face, who is chosen in the first frame that shows any; by default the best-scored one of each frame.
    Raises NoFaceFound if none of them shows a face.
    """
    found: list[_Rated] = []
    index = -1

    def rate(index: int, frame: Frame, points: Float64Array) -> _Rated:
        return unlikeness(points, like) if best else 0.0, index, frame, points

    for index, frame in enumerate(frames if person is None else _begun(frames, person)):
        if index % step:
            continue
        picture = frame.pixels[..., :3]
        points = best_face(picture, landmarks) if person is None else person.find(picture)
        if points is None:
            continue
        found = sorted([*found, rate(index, frame, points)], key=itemgetter(0, 1))[:SHORTLIST]
        if not best:
            break
    if not found:
        raise NoFaceFound(
            f"no face found in {index + 1} frames of the driving clip; give one of a head that looks towards the camera"
        )
    if person is not None:
        found = [rate(k, frame, person.look_closer(frame.pixels[..., :3], points)) for _, k, frame, points in found]
    return min(found, key=itemgetter(0, 1))[1:]


def _begun(frames: Iterable[Frame], person: PersonTracker) -> Iterator[Frame]:
    """The frames from the first one on in which the person is chosen, and those before it."""
    for frame in frames:
        if person.number is None:
            person.begin(np.ascontiguousarray(frame.pixels[..., :3]))
        yield frame


def keypoints_of(square: Pixels, model: FaceModel[Points]) -> Points:
    """The keypoints of the face in a square picture of any side."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        return model.keypoints(to_tensor(shrink(square, model.config.resolution)).to(device))


def hull_area(points: torch.Tensor) -> float:
    """Area of the convex hull of points [K, 2]; 0 if they lie on a line."""
    try:
        return float(ConvexHull(points.double().cpu().numpy()).volume)
    except QhullError:
        return 0.0


@dataclass(frozen=True, eq=False)
class Retargeting:
    """Driving keypoints -> keypoints of the source face (eq. of section 3.3, "Testing").

    relative: p = s (p_d - p_d0) + p_src and J = J_d J_d0^-1 J_src, with s the ratio of the two hulls' sizes when
    adapt_scale is on; absolute: p = p_d and J = J_d.
    """

    source: Keypoints
    reference: Keypoints
    options: AnimateOptions

    def __call__(self, driving: Keypoints) -> Keypoints:
        """The source's keypoints for those of a driving frame."""
        if self.options.mode == "absolute":
            return driving
        value = (driving.value - self.reference.value) * self.scale + self.source.value
        change = multiply(driving.jacobian, invert(self.reference.jacobian))
        return Keypoints(value, multiply(change, self.source.jacobian))

    @cached_property
    def scale(self) -> float:
        """The spread of the source's keypoints relative to the reference frame's; 1 without `adapt_scale`."""
        areas = [hull_area(points.value[0]) for points in (self.source, self.reference)]
        return math.sqrt(areas[0] / areas[1]) if self.options.adapt_scale and min(areas) > 0 else 1.0


class KeypointFilter:
    """Keypoints smoothed by the one-euro filter of `strength`; half a picture a second counts as a speed of 1."""

    def __init__(self, strength: float) -> None:
        self.steady: OneEuro[torch.Tensor] = OneEuro(strength)

    def __call__(self, keypoints: Keypoints, time: Fraction) -> Keypoints:
        """The filtered keypoints of the frame at `time` in seconds; if time does not increase, the filter restarts."""
        value = self.steady(torch.cat([keypoints.value[..., None], keypoints.jacobian], dim=-1), time)  # [N, K, 2, 3]
        return Keypoints(value[..., 0], value[..., 1:])


def smoother(like: Points, strength: float) -> Callable[[Points, Fraction], Points]:
    """The one-euro filter of a strength for points of this kind."""
    return HeadFilter(strength) if isinstance(like, Head) else KeypointFilter(strength)


def retargeting(source: Points, reference: Points, options: AnimateOptions) -> Callable[[Points], Points]:
    """Driving points -> points of the source, given those of the driver's reference frame."""
    if isinstance(source, Head):
        return FreeViewRetargeting(source, reference, options)
    return Retargeting(source, reference, options)


class Latest(Generic[State]):
    """For increasing times, the latest frame of a driver; the last one is held at the end."""

    def __init__(self, frames: Iterator[Seen[State]]) -> None:
        self.frames = frames
        self.shown: State | None = None
        self.waiting = next(frames, None)

    def __call__(self, time: Fraction) -> State | None:
        """The state at `time`; None before the first frame, and if the source stays still."""
        while self.waiting is not None and self.waiting[0] <= time:
            self.shown = self.waiting[1]
            self.waiting = next(self.frames, None)
        return self.shown


def together(drivers: Sequence[Iterable[Seen[State]]]) -> Iterator[tuple[Fraction, list[State | None]]]:
    """The frames of several drivers at the times of the first."""
    first, *others = (iter(driver) for driver in drivers)
    latest = [Latest(other) for other in others]
    for time, own in first:
        yield time, [own, *(other(time) for other in latest)]
