"""Turns an emotion sequence into one latent for each frame: keyframes in W+, a path, blinks and head sway.

A keyframe is the start face moved along a direction, ws = start + strength * direction (Zhang 2020: z + coefficient *
direction, here in W+), less the emotion that the start face already shows, so that neutral is the face at rest. Each
emotion is held for a share of its segment, in the middle of the segment; the face starts at the start face and, in a
loop, returns to it at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from latentface.arrays import Float64Array
from latentface.emotion import Emotion, EmotionSequence
from latentface.errors import UsageError
from latentface.latents.latent import Direction, Latent, check_same_generator
from latentface.options.clips import SequenceOptions

BLINK_SECONDS = (0.18, 0.36)  # shortest and longest
_CLOSED, _OPENING = 0.3, 0.5  # shares of a blink after which the eyes are closed, and start to open
_SPREAD = 0.5  # standard deviation of the logarithm of the time between blinks
_SWAY_HERTZ = 0.35  # the fastest movement of the head
_WAVES = 4


@dataclass(frozen=True, eq=False)
class Repertoire:
    """The movements of a face: directions of one generator, scaled so that 1 is a natural unit of each.

    Attributes:
        emotions: 1 is the full emotion; NEUTRAL is the face at rest and needs none.
        blink: 1 closes the eyes; None if the latent does not close them, see `Sequencer.shut`.
        yaw, pitch: 1 turns the head by a degree; None if the latent does not, see `Sequencer.yaw`.
    """

    emotions: Mapping[Emotion, Direction] = field(default_factory=dict)
    blink: Direction | None = None
    yaw: Direction | None = None
    pitch: Direction | None = None


class Timeline:
    """The strength of each emotion at any time: knots with a weight for every emotion, and a path through them.

    Args:
        own: [7], strength of each emotion in the start face; by default 0.

    Attributes:
        seconds: the length of the sequence.
        times: [K], seconds of the knots; a held emotion has two.
        weights: [K, 7] strength of each emotion at the knots, in `Emotion`'s order; neutral's is always 0.
    """

    def __init__(self, sequence: EmotionSequence, options: SequenceOptions, own: Float64Array | None = None) -> None:
        self.options, self.seconds = options, sequence.duration
        start = np.zeros(len(Emotion)) if own is None else np.asarray(own, np.float64)
        knots: list[tuple[float, Float64Array]] = [(0.0, start)]
        begin, last = 0.0, len(sequence.segments) - 1
        for number, segment in enumerate(sequence.segments):
            weights = np.zeros(len(Emotion))
            if segment.emotion is not Emotion.NEUTRAL:
                weights[segment.emotion.index] = segment.strength * options.strength
            middle, reach = begin + segment.duration / 2, options.hold * segment.duration / 2
            stays = number == last and not options.loop  # the clip ends on its last emotion
            knots.append((middle - reach, weights))
            if stays or middle + reach > middle - reach:  # a hold may be too short to be represented
                knots.append((self.seconds if stays else middle + reach, weights))
            begin += segment.duration
        if options.loop:
            knots.append((self.seconds, start))
        self.times = np.array([time for time, _ in knots])
        self.weights = np.stack([weights for _, weights in knots])

    def between(self, times: Float64Array) -> tuple[NDArray[np.intp], Float64Array]:
        """For each time [N], the previous knot [N] and the eased progress towards the next, 0 to 1 [N]."""
        left = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 2)
        way = ((times - self.times[left]) / (self.times[left + 1] - self.times[left])).clip(0, 1)
        return left, way if self.options.easing == "linear" else (1 - np.cos(np.pi * way)) / 2

    def at(self, times: Float64Array) -> Float64Array:
        """Strength of each emotion, [N, 7], at times [N] in seconds, interpolated along a straight line between knots.

        Before the beginning and after the end it is constant.
        """
        if self.options.easing == "spline":
            return self._spline(times)
        left, way = self.between(times)
        return self.weights[left] + way[:, None] * (self.weights[left + 1] - self.weights[left])

    def _spline(self, times: Float64Array) -> Float64Array:
        """C2 cubic splines through the knots, with zero velocity during holds and at both ends of the clip."""
        held = [k for k in range(len(self.times) - 1) if np.array_equal(self.weights[k], self.weights[k + 1])]
        ends = sorted({0, len(self.times) - 1, *held, *(k + 1 for k in held)})
        times = np.clip(times, self.times[0], self.times[-1])
        result = np.empty((len(times), self.weights.shape[1]))
        for first, last in pairwise(ends):
            inside = (times >= self.times[first]) & (times <= self.times[last])
            piece = slice(first, last + 1)
            result[inside] = CubicSpline(self.times[piece], self.weights[piece], bc_type="clamped")(times[inside])
        return result


class Sequencer:
    """The latent of a face at any time of an emotion sequence.

    Args:
        start: the face as it is.
        repertoire: directions of the latent's generator.
        sequence: the emotions that the face shows.
        options: how; defaults to `SequenceOptions()`.
        centre: the mean w [w_dim], the centre of rotation for `easing="slerp"`.
        own: [7], strength of each emotion that the start face shows, in the order of `Emotion`; by default 0.

    Attributes:
        shut: how far blinks close the eyes, 0 to 1, at times [N] in seconds.
        yaw, pitch: head sway in degrees at times [N].

    Raises:
        UsageError: an emotion of the sequence has no direction, or slerp is used without a centre.
        LatentMismatch: a direction belongs to another generator.
    """

    def __init__(
        self,
        start: Latent,
        repertoire: Repertoire,
        sequence: EmotionSequence,
        options: SequenceOptions | None = None,
        *,
        centre: Tensor | None = None,
        own: Float64Array | None = None,
    ) -> None:
        self.start, self.options = start, options or SequenceOptions()
        self.timeline = Timeline(sequence, self.options, own)
        self.seconds = self.timeline.seconds
        if self.options.easing == "slerp" and centre is None:
            raise UsageError("slerp turns about the mean w; pass centre, the generator's w_avg")
        self.centre = torch.zeros(()) if centre is None else centre.cpu().float()
        wanted = [bool(column.any()) for column in self.timeline.weights.T]
        self._emotions = torch.stack(
            [
                _fitting(start, repertoire.emotions.get(e), e.value) if used else torch.zeros_like(start.ws)
                for e, used in zip(Emotion, wanted, strict=True)
            ]
        )
        self.shut, self.yaw, self.pitch = idle_motion(self.seconds, self.options)
        by_latent = ((repertoire.blink, self.shut), (repertoire.yaw, self.yaw), (repertoire.pitch, self.pitch))
        self._extras: list[tuple[Tensor, Blinks | Sway]] = [
            (_fitting(start, direction, direction.name), signal)
            for direction, signal in by_latent
            if direction is not None
        ]

    def ws(self, times: Sequence[float] | Float64Array) -> Tensor:
        """The latents ws [N, num_ws, w_dim] at times [N] in seconds from the beginning."""
        at = np.asarray(times, np.float64)
        ws = self._arc(at) if self.options.easing == "slerp" else self._pose(self.timeline.at(at))
        for direction, signal in self._extras:
            ws = ws + torch.from_numpy(signal(at)).float()[:, None, None] * direction
        return ws

    def extremes(self) -> dict[str, Tensor]:
        """The extremes of the path, ws [num_ws, w_dim] by name: the strongest emotions, the head to each side."""
        poses = {}
        for emotion, strength in zip(Emotion, self.timeline.weights.max(0), strict=True):
            if strength > 0:
                weights = strength * np.eye(len(Emotion))[emotion.index]
                poses[f"{emotion.value} {strength:g}"] = self._pose(weights[None])[0]
        for number, (direction, signal) in enumerate(self._extras):
            for degrees in (-signal.degrees, signal.degrees) if isinstance(signal, Sway) else ():
                poses[f"sway {degrees:+g} ({number})"] = self.start.ws + degrees * direction
        return poses

    def latents(self, count: int) -> Iterator[Latent]:
        """One latent for each of `count` evenly spaced frames."""
        for time in frame_times(self.seconds, count):
            yield replace(self.start, ws=self.ws([time])[0])

    def _pose(self, weights: Float64Array) -> Tensor:
        """The face with emotions of these strengths: [N, 7] -> ws [N, num_ws, w_dim]."""
        moved = torch.from_numpy(weights - self.timeline.weights[0]).float()
        return self.start.ws + torch.einsum("ne,eld->nld", moved, self._emotions)

    def _arc(self, times: Float64Array) -> Tensor:
        left, way = self.timeline.between(times)
        ends = [self._pose(self.timeline.weights[k]) - self.centre for k in (left, left + 1)]
        return self.centre + slerp(ends[0], ends[1], torch.from_numpy(way).float()[:, None, None])


def frame_times(seconds: float, count: int) -> Float64Array:
    """[count] times k * seconds / count, starting at 0; in a loop the frame after the last is the first again."""
    return np.asarray(np.arange(count) * (seconds / count), np.float64)


def slerp(a: Tensor, b: Tensor, way: Tensor) -> Tensor:
    """From a to b [..., D] along the great circle of their directions, for `way` from 0 to 1.

    Shoemake 1985, with lengths interpolated linearly; a straight line if a and b have the same direction.
    """
    lengths: list[Tensor] = [torch.linalg.vector_norm(each, dim=-1, keepdim=True).clamp(min=1e-12) for each in (a, b)]
    cosine = (a / lengths[0] * (b / lengths[1])).sum(-1, keepdim=True).clamp(-1, 1)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    straight = sine < 1e-4
    sine = torch.where(straight, torch.ones_like(sine), sine)
    first = torch.where(straight, 1 - way, torch.sin((1 - way) * angle) / sine)
    second = torch.where(straight, way.expand_as(angle), torch.sin(way * angle) / sine)
    turned: Tensor = first * a / lengths[0] + second * b / lengths[1]
    return turned * (lengths[0] + way * (lengths[1] - lengths[0]))


def idle_motion(
    seconds: float, options: SequenceOptions, blinks: float = 0.0, sway: float = 0.0
) -> tuple[Blinks, Sway, Sway]:
    """What a face does besides its emotions: blinks, and the head's yaw and pitch; `blinks`, `sway`: the defaults."""
    source = np.random.default_rng(options.seed)
    blinks = blinks if options.blinks is None else options.blinks
    sway = sway if options.sway is None else options.sway
    shut, yaw = Blinks(seconds, blinks, source), Sway(seconds, sway, options.loop, source)
    return shut, yaw, Sway(seconds, sway / 2, options.loop, source)


class Blinks:
    """How far the eyes are closed, 0 to 1, at any time: fast closing, a short pause, slower opening.

    The times between blinks are log-normal about 60 / per_minute seconds. Every blink lies entirely inside the clip.
    """

    def __init__(self, seconds: float, per_minute: float, source: np.random.Generator) -> None:
        self.spans: list[tuple[float, float]] = []  # begin and length in seconds
        if not per_minute:
            return
        begin = source.uniform(0.2, 0.8) * min(60 / per_minute, seconds)
        while True:
            length = source.uniform(*BLINK_SECONDS)
            if begin + length > seconds:
                break
            self.spans.append((begin, length))
            pause = 60 / per_minute * math.exp(source.normal(-(_SPREAD**2) / 2, _SPREAD))  # its mean is 60 / per_minute
            begin += max(pause, 2 * length)

    def __call__(self, times: Float64Array) -> Float64Array:
        """How far the eyes are closed at times [N] in seconds: [N], 0 to 1."""
        shut = np.zeros(len(times))
        for begin, length in self.spans:
            way = (times - begin) / length
            down, up = way / _CLOSED, (1 - way) / (1 - _OPENING)
            shut = np.maximum(shut, np.sin(np.pi / 2 * np.minimum(down, up).clip(0, 1)) ** 2)
        return shut


class Sway:
    """A slow, smooth movement of at most `degrees` from the start pose, where it begins and, in a loop, ends.

    A few sines of random phase; slow ones are larger.
    """

    def __init__(self, seconds: float, degrees: float, loop: bool, source: np.random.Generator) -> None:
        if loop:  # whole periods only
            most = max(1, round(_SWAY_HERTZ * seconds))
            hertz = np.arange(max(1, most - _WAVES + 1), most + 1) / seconds
        else:
            hertz = source.uniform(0.2, 1.0, _WAVES) * _SWAY_HERTZ
        self.degrees, self.turns = degrees, 2 * np.pi * hertz
        self.phases = source.uniform(0, 2 * np.pi, len(hertz))
        sizes = 1 / self.turns
        self.sizes = degrees * sizes / (2 * sizes.sum())  # the distance between the extremes is twice the sum

    def __call__(self, times: Float64Array) -> Float64Array:
        """Degrees from the start pose at times [N] in seconds: [N]."""
        waves = np.sin(np.outer(times, self.turns) + self.phases) - np.sin(self.phases)
        return np.asarray(waves @ self.sizes)


def _fitting(start: Latent, direction: Direction | None, name: str) -> Tensor:
    """The direction's values [num_ws, w_dim], checked against the latent."""
    if direction is None:
        raise UsageError(f"no direction {name!r} for this network; fit one (latentface directions fit) or leave it out")
    check_same_generator(start, direction)
    return direction.values
