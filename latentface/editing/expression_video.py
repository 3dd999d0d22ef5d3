"""Expression videos: the face of one photo shows a sequence of emotions in every frame of a clip."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentface import api
from latentface.arrays import Float64Array, Pixels
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap, Motion
from latentface.compositing.warping import scaling
from latentface.directions.scaling import FAR, excess, w_samples
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.inverted_face import Face, Note
from latentface.editing.placement import check_composite, find_points, make_placer, synthesise
from latentface.emotion import Emotion, EmotionSequence
from latentface.emotions.sequencer import Blinks, Repertoire, Sequencer, Sway, Timeline, frame_times, idle_motion
from latentface.errors import UsageError
from latentface.faces.crop import FaceCrop, map_points
from latentface.head.control_names import parse_parts
from latentface.head.controls import Change, apply_changes, restrict
from latentface.head.emotions import with_emotions
from latentface.head.fit import HeadFit
from latentface.io.clip import Clip, Frame, parse_rate
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.latents.latent import Direction, Latent
from latentface.motion.in_order import free_cores, in_order
from latentface.options.clips import BLINKS, SWAY, SequenceOptions, VideoOptions
from latentface.options.photos import CompositeOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

#: Scale of each direction: full emotions and closed eyes in standard deviations, turns for one degree.
FULL = {
    "happiness": 2.75, "sadness": 2.5, "surprise": 3.0, "anger": 3.0, "disgust": 3.0, "fear": 3.0,
    "eyes-closed": 8.0, "yaw": 0.076, "pitch": 0.146,
}  # fmt: skip
_MOST, _TRIALS = 1.5, 7  # range and resolution of the strength of a face's own emotion


@dataclass(frozen=True, eq=False)
class Performance:
    """The frames of an expression video, computed on demand; each iteration gives the same frames.

    Attributes:
        generator: synthesises the face.
        sequencer: gives its latent at any time.
        rate: frames a second; count: the number of frames in the sequence.
        placer: puts the faces into a photo; None for the face alone.
        alpha: the photo's fourth channel [H, W], if it has one.
        batch: number of frames that are synthesised together.
    """

    generator: Generator
    sequencer: Sequencer
    rate: Fraction
    count: int
    placer: Compositor | ExpressionMap | None = None
    alpha: Pixels | None = None
    batch: int = 8

    def __iter__(self) -> Iterator[Frame]:
        times = frame_times(self.sequencer.seconds, self.count)
        batches = np.split(times, range(self.batch, self.count, self.batch))
        number = 0
        with ThreadPoolExecutor(
            1
        ) as pool:  # the next batch is synthesised while this one is put into the photo and encoded
            drawn = pool.submit(self._synthesise, batches[0])
            for following in [*batches[1:], None]:
                pictures = drawn.result()
                if following is not None:
                    drawn = pool.submit(self._synthesise, following)
                for image, points in pictures:
                    yield Frame(self._place(image, points, times[number]), number / self.rate)
                    number += 1

    @property
    def clip(self) -> Clip:
        """The frames as a clip."""
        side = self.generator.config.resolution
        height, width = (side, side) if self.placer is None else self.placer.photo.shape[:2]
        mark = GENERATED if self.placer is None else COMPOSITE
        return Clip(self, self.rate, (width, height), self.count, alpha=self.alpha is not None, source_type=mark)

    def _synthesise(self, times: Float64Array) -> list[tuple[Pixels, Float64Array | None]]:
        """The face at times [N] and, if the placer needs them, its landmarks [68, 2]."""
        images = synthesise(self.generator, self.sequencer.start, self.sequencer.ws(times))
        # a face that is pasted where its crop was cut out needs none: one mask covers all frames
        if isinstance(self.placer, ExpressionMap) or (self.placer and self.placer.options.warp != "crop"):
            return list(zip(images, find_points(self.generator, images), strict=True))
        return [(image, None) for image in images]

    def _place(self, image: Pixels, points: Float64Array | None, time: float) -> Pixels:
        pixels = image
        if isinstance(self.placer, Compositor):
            pixels = self.placer.place(image, points)
        elif self.placer is not None and points is not None:
            at, sequencer = np.array([time]), self.sequencer
            shut, yaw, pitch = (float(signal(at)[0]) for signal in (sequencer.shut, sequencer.yaw, sequencer.pitch))
            pixels = self.placer.place(image, points, Motion(shut, yaw, pitch))
        return pixels if self.alpha is None else np.dstack([pixels, self.alpha])


@dataclass(frozen=True, eq=False)
class HeadPerformance:
    """The frames of an expression video in which a fitted head moves the photo's pixels.

    Attributes:
        placer: moves the photo's head.
        timeline: the strength of each emotion at any time.
        shut, yaw, pitch: how far blinks close the eyes (0 to 1), and head sway in degrees, at times [N].
        rate: frames a second; count: the number of frames in the sequence.
        rest: whether neutral means a face at rest, without the photo's own expression.
        alpha: the photo's fourth channel [H, W], if it has one.
        only: parts of the face that change (`head.control_names.PARTS` and pose); all if empty.
    """

    placer: HeadPlacer
    timeline: Timeline
    shut: Blinks
    yaw: Sway
    pitch: Sway
    rate: Fraction
    count: int
    rest: bool
    alpha: Pixels | None = None
    only: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        times = frame_times(self.timeline.seconds, self.count)
        return in_order(enumerate(times.tolist()), self._frame, self.placer.view.at_once(free_cores()))

    @property
    def clip(self) -> Clip:
        """The frames as a clip."""
        height, width = self.placer.photo.shape[:2]
        return Clip(self, self.rate, (width, height), self.count, alpha=self.alpha is not None, source_type=COMPOSITE)

    def head(self, time: float) -> HeadFit:
        """The photo's head at a time in seconds: it begins as the photo shows it."""
        at = np.array([time])
        weights, own = self.timeline.at(at)[0], self.timeline.weights[0]
        share = None
        if self.rest:
            share = float(np.clip(1 - np.abs(weights - own).sum() / max(float(own.sum()), 0.7), 0, 1))
            weights = weights - share * own
        emotions = {emotion: float(weights[emotion.index]) for emotion in Emotion if weights[emotion.index] > 0}
        made = with_emotions(self.placer.fit, emotions, share)
        shut = float(self.shut(at)[0])
        if shut:
            made = apply_changes(made, {"blink": Change(max(shut, made.coefficients()["eyeBlinkLeft"]))})
        made = made.with_pose(float(self.yaw(at)[0]), float(self.pitch(at)[0]), relative=True)
        return restrict(self.placer.fit, made, self.only) if self.only else made

    def _frame(self, step: tuple[int, float]) -> Frame:
        number, time = step
        head = self.head(time)
        pixels = self.placer.place(head)
        pixels = pixels if self.alpha is None else np.dstack([pixels, self.alpha])
        return Frame(pixels, number / self.rate, self.placer.landmarks(head))


def perform(
    face: Face,
    sequence: EmotionSequence,
    generator: Generator,
    options: SequenceOptions | None = None,
    video: VideoOptions | None = None,
    composite: CompositeOptions | None = None,
    note: Note | None = None,
) -> Performance | HeadPerformance:
    """Make an expression video of a face.

    Args:
        face: its latent, photo and crop; without a photo it is shown alone. If the generator was tuned for it, the
            tuned one synthesises every frame.
        generator: the network of the latent.
        sequence: the emotions, their strengths and durations.
        options: how the face moves.
        video: what the frames show, and the frame rate.
        composite: how it is pasted, for `video.place="paste"`.
        note: called with a one-line note about emotions too strong for the network.

    Raises:
        UsageError: a direction is missing, the rate is malformed, or the clip would have no frames.
        LatentMismatch: a direction belongs to another network.
    """
    options, video = options or SequenceOptions(), video or VideoOptions()
    face = face.in_srgb(note)
    check_composite(composite, video.place, video.crop)
    rate = parse_rate(video.fps)
    count = round(sequence.duration * rate)
    if not count:
        raise UsageError(f"{sequence.duration:g} seconds at {video.fps} frames a second have no frame; ask for more")
    if video.place == "head" and not video.crop and face.photo is not None and face.crop is not None:
        device, only = str(generator.w_avg.device), parse_parts(video.only)
        head = HeadPlacer(face.photo.rgb, face.crop, face.others, note)
        return _perform_by_head(head, face.photo.alpha, face.crop, sequence, device, options, rate, count, only)
    warped = video.place == "warp" and not video.crop and face.photo is not None
    repertoire = load_repertoire(generator, sequence, options, expressions_only=warped)  # the photo itself moves
    network = face.tune(generator)
    own = read_own(network, face.latent, repertoire) if options.rest else None
    sequencer = Sequencer(face.latent, repertoire, sequence, options, centre=generator.w_avg, own=own)
    if note is not None:
        _warn_of_range(generator, sequencer, note)
    if video.crop or face.photo is None or face.crop is None:
        return Performance(network, sequencer, rate, count, batch=video.batch)
    (start,) = synthesise(network, face.latent, face.latent.ws[None])
    reach = _reach(network, sequencer, face.crop) if video.place == "paste" else ()
    placer = make_placer(face, generator, start, video.place, composite, reach)
    assert not isinstance(placer, HeadPlacer)
    return Performance(network, sequencer, rate, count, placer, face.photo.alpha, video.batch)


def _perform_by_head(
    placer: HeadPlacer,
    alpha: Pixels | None,
    crop: FaceCrop,
    sequence: EmotionSequence,
    device: str,
    options: SequenceOptions,
    rate: Fraction,
    count: int,
    only: tuple[str, ...],
) -> HeadPerformance:
    own = np.zeros(len(Emotion))
    if options.rest:
        shown = int(api.find_recogniser("emotion", device)(crop.image[None])[0].argmax())
        own[shown] = float(shown != Emotion.NEUTRAL.index)
    timeline = Timeline(sequence, options, own)
    return HeadPerformance(
        placer,
        timeline,
        *idle_motion(timeline.seconds, options, BLINKS, SWAY),
        rate,
        count,
        options.rest,
        alpha,
        only,
    )


def load_repertoire(
    generator: Generator, sequence: EmotionSequence, options: SequenceOptions, expressions_only: bool = False
) -> Repertoire:
    """The directions of a generator scaled by `FULL`: every emotion it has, and what the options ask for.

    expressions_only: the latent is not used for blinks and head movements.

    Raises UsageError if a required direction is missing.
    """

    def scaled(name: str) -> Direction:
        return FULL[name] * api.load_direction(name, generator)

    known = api.list_directions(generator)
    wanted = {segment.emotion for segment in sequence.segments}
    shown = [each for each in Emotion if each is not Emotion.NEUTRAL and (each in wanted or each.value in known)]
    return Repertoire(
        {emotion: scaled(emotion.value) for emotion in shown},
        scaled("eyes-closed") if options.blinks and not expressions_only else None,
        *([scaled("yaw"), scaled("pitch")] if options.sway and not expressions_only else ()),
    )


def read_own(generator: Generator, latent: Latent, repertoire: Repertoire) -> Float64Array:
    """[7] the strength of a latent's likeliest emotion, which must be removed to make the face neutral.

    Among several strengths it is the one whose removal the emotion network classifies as most neutral.
    """
    recognise = api.find_recogniser("emotion", str(generator.w_avg.device))
    own = np.zeros(len(Emotion))
    found = list(Emotion)[int(recognise(synthesise(generator, latent, latent.ws[None]))[0].argmax())]
    direction = repertoire.emotions.get(found)
    if direction is not None:
        tried = torch.linspace(0, _MOST, _TRIALS)
        ws = latent.ws - tried[:, None, None] * direction.values
        own[found.index] = tried[int(recognise(synthesise(generator, latent, ws))[:, Emotion.NEUTRAL.index].argmax())]
    return own


def _reach(generator: Generator, sequencer: Sequencer, crop: FaceCrop) -> list[Float64Array]:
    """Landmarks in the photo at the extremes of the face's motion, so that one mask serves all frames."""
    extremes = sequencer.extremes()
    if not extremes:
        return []
    poses = synthesise(generator, sequencer.start, torch.stack(list(extremes.values())))
    to_photo = crop.to_photo @ scaling(crop.size / poses.shape[1])
    return [map_points(to_photo, points) for points in find_points(generator, poses)]


def _warn_of_range(generator: Generator, sequencer: Sequencer, note: Note) -> None:
    """Warn about emotions that lead beyond the distance from the mean w at which the network works well."""
    w, start = w_samples(generator), sequencer.start
    far = {name: excess(start, replace(start, ws=ws), w) for name, ws in sequencer.extremes().items()}
    beyond = [f"{name} ({distance:.1f} deviations)" for name, distance in far.items() if distance > FAR]
    if beyond:
        note(f"{', '.join(beyond)}: the network's images are poor so far from its mean; lower the strengths to {FAR:g}")
