"""Emotions in a clip: the face is tracked, and a recogniser classifies it several times a second.

A recogniser is anything that returns probabilities of emotions for pictures of faces: the built-in network, or the
user's own function (`plugged_in`).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image

from latentface.arrays import Float64Array, Pixels
from latentface.emotion import Emotion, EmotionSequence
from latentface.emotions.resume_log import Journal
from latentface.emotions.smoothing import Look, to_segments
from latentface.errors import InputError, LatentfaceError, NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import ffhq_quad
from latentface.faces.person_tracker import PersonTracker
from latentface.faces.tracking import Tracker
from latentface.io.clip import Clip, Frame
from latentface.io.images import to_tensor
from latentface.networks.classifier import EmotionNet
from latentface.options.clips import ReadOptions

Classify = Callable[[Pixels], ArrayLike | torch.Tensor]
LookCallback = Callable[[int, Look], None]

_LARGEST = (
    1280  # long side of the pictures that are analysed; the smallest face that is found then still has 100 pixels
)
_SIDE = 144  # pixels of a crop, which gives the built-in network its own resolution
_DIGITS = 4  # of a chance
_ALSO_CALLED = {
    "neutral": "calm none", "happiness": "happy joy smile", "sadness": "sad", "surprise": "surprised",
    "anger": "angry", "disgust": "disgusted", "fear": "fearful afraid scared",
}  # fmt: skip


@dataclass(frozen=True)
class Recogniser:
    """Probabilities of the seven emotions for face crops.

    Attributes:
        classify: uint8 RGB [N, S, S, 3], FFHQ crops (padded by reflection) -> [N, L], the probability of each label (0
            or more; a row need not sum to 1), as an array, a tensor or nested lists.
        labels: the meaning of the L columns: emotions by name or a common synonym (happy, sad, angry, ...), in any
            order; emotions that are missing never appear.
        size: the size S of its crops in pixels.

    Raises:
        UsageError: a label is none of the seven emotions, or occurs twice.
    """

    classify: Classify
    labels: tuple[str, ...] = tuple(emotion.value for emotion in Emotion)
    size: int = _SIDE

    def __post_init__(self) -> None:
        columns = [_emotion_of(label).index for label in self.labels]
        if len(set(columns)) < len(columns) or not columns:
            raise UsageError(f"a recogniser's labels are {', '.join(self.labels)}; expected each emotion once at most")
        if self.size < 16:
            raise UsageError(f"a recogniser needs crops of {self.size} pixels; expected 16 or more")

    def __call__(self, crops: Pixels) -> Float64Array:
        """Probabilities [N, 7] in the order of `Emotion`; UsageError if the output of `classify` has a wrong form."""
        answer, shape = self.classify(crops), (len(crops), len(self.labels))
        chances = _numbers(answer)
        if chances is None or not _are_chances(chances, shape):
            raise UsageError(
                f"the recogniser returned {_said(answer, chances)} for {len(crops)} faces; expected "
                f"[{shape[0]}, {shape[1]}] probabilities, 0 or more and not all 0, for {', '.join(self.labels)}"
            )
        whole = np.zeros((len(crops), len(Emotion)))
        whole[:, [_emotion_of(label).index for label in self.labels]] = chances / chances.sum(1, keepdims=True)
        return whole


def _numbers(answer: torch.Tensor | ArrayLike) -> Float64Array | None:
    """An output as an array; None if it is not one, for example if its rows have different lengths."""
    try:
        return np.asarray(answer.detach().cpu() if isinstance(answer, torch.Tensor) else answer, np.float64)
    except (ValueError, TypeError):
        return None


def _are_chances(values: Float64Array, shape: tuple[int, int]) -> bool:
    fits = values.shape == shape and bool(np.isfinite(values).all() and (values >= 0).all())
    return fits and bool(values.sum(1).all())


def _said(answer: object, values: Float64Array | None) -> str:
    if values is None:
        return f"a {type(answer).__name__} that is no table of numbers (rows of different lengths?)"
    extent = f" from {values.min():g} to {values.max():g}" if values.size else ""
    return f"[{', '.join(map(str, values.shape))}]{extent}"


def of_network(network: EmotionNet) -> Recogniser:
    """Make a recogniser from an emotion network."""

    def classify(crops: Pixels) -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = network(to_tensor(crops).to(network.mean.device))
            return logits.softmax(1)

    return Recogniser(classify)


def plugged_in(name: str) -> Recogniser:
    """Load the recogniser `package.module:name` or `FILE.py:name`: a `Recogniser`, or a function to classify.

    This runs the user's own code.

    Raises:
        UsageError: it cannot be imported, or is neither.
    """
    place, _, attribute = name.rpartition(":")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        found = getattr(module, attribute)
    except LatentfaceError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"no recogniser {name!r} ({reason}); expected package.module:NAME or FILE.py:NAME of a "
            "latentface.Recogniser, or of a function of crops [N, S, S, 3]"
        ) from error
    if isinstance(found, Recogniser):
        return found
    if not callable(found):
        raise UsageError(f"the recogniser {name!r} is a {type(found).__name__}; expected a Recogniser or a function")
    return Recogniser(found)


@dataclass
class Tally:
    """Counters of a reading, which increase while the film is read.

    Attributes:
        seconds: length of the film, as far as it can be read.
        looks: number of classified frames.
        faces: number of these that showed a face.
        tracks: number of different faces that were tracked, one after another.
        damage: where and why the film could not be read further, or None.
    """

    seconds: Fraction = Fraction(0)
    looks: int = 0
    faces: int = 0
    tracks: int = 0
    damage: str | None = None


@dataclass(frozen=True)
class Reading:
    """The emotions shown in a film, as far as it could be read, and the counters of the reading."""

    sequence: EmotionSequence
    tally: Tally


def read(
    clip: Clip,
    landmarks: LandmarkPredictor,
    recogniser: Recogniser,
    options: ReadOptions | None = None,
    *,
    journal: Journal | None = None,
    keep_partial: bool = False,
    on_look: LookCallback | None = None,
    person: PersonTracker | None = None,
) -> Reading:
    """Read the emotions of the tracked face in a clip, with smoothing; a stretch without a face counts as neutral.

    Args:
        clip: the clip to read.
        landmarks: the landmark network used for tracking.
        recogniser: the classifier.
        options: how often, and with how much smoothing; by default `ReadOptions()`.
        journal: where classified frames are stored; frames that it already contains are not classified again.
        keep_partial: stop at damage, which is then described in `Tally.damage`, instead of raising.
        on_look: called as on_look(count, look) after every classified frame, including those from the journal.
        person: whose face; by default whoever is seen.

    Raises:
        InputError: the clip is damaged (with `keep_partial`: and none of it could be read).
        NoFaceFound: no classified frame shows a face.
    """
    options, tally = options or ReadOptions(), Tally()
    timed = replace(clip, frames=_timed(clip, tally))
    seen = watch(timed, landmarks, recogniser, options.looks, None if journal is None else journal.last, person)
    looks = chain(journal or (), seen if journal is None else _kept(seen, journal))
    counted = _counted(_until_damage(looks, tally) if keep_partial else looks, tally, on_look)
    segments = tuple(to_segments(counted, options.steady))
    if not tally.faces:
        raise NoFaceFound(
            f"no face in {tally.looks} frames of the clip; give one in which a face looks towards the camera"
        )
    return Reading(EmotionSequence(segments), tally)


def _timed(clip: Clip, tally: Tally) -> Iterator[Frame]:
    for frame in clip:
        tally.seconds = frame.time + 1 / clip.rate
        yield frame


def _kept(looks: Iterable[Look], journal: Journal) -> Iterator[Look]:
    for look in looks:
        journal.add(look)
        yield look


def _until_damage(looks: Iterable[Look], tally: Tally) -> Iterator[Look]:
    """Looks until the clip is damaged, which is noted in the tally; damage before the first look is raised."""
    try:
        yield from looks
    except InputError as error:
        if not tally.looks:
            raise
        tally.damage = str(error)


def _counted(looks: Iterable[Look], tally: Tally, on_look: LookCallback | None) -> Iterator[Look]:
    """The looks, followed by one without a face that marks the end."""
    for look in looks:
        tally.looks, tally.tracks = tally.looks + 1, look.track
        tally.faces += look.chances is not None
        if on_look:
            on_look(tally.looks, look)
        yield look
    yield Look(tally.seconds, None)


def watch(
    clip: Clip,
    landmarks: LandmarkPredictor,
    recogniser: Recogniser,
    rate: float,
    after: Look | None = None,
    person: PersonTracker | None = None,
) -> Iterator[Look]:
    """Classify the tracked face of a clip's frames, `rate` times a second of the clip (or at every frame, if fewer).

    Args:
        clip: the clip to read.
        landmarks: the landmark network used for tracking.
        recogniser: the classifier.
        rate: classified frames a second.
        after: continue after this look as if it had just been made; earlier frames are only decoded, apart from the
            first one with a face if a person has to be chosen.
        person: whose face; by default the best-scored one, until it is lost, and then the next one.

    Raises:
        InputError: the clip is damaged; the looks before the damage have been yielded.
    """
    rhythm = Fraction(rate)
    tracker: Tracker | PersonTracker = (
        Tracker(landmarks) if after is None else Tracker(landmarks, after.box, after.track)
    )
    if person is not None:
        tracker, person.track = person, 0 if after is None else after.track
    due = Fraction(0) if after is None else _next_due(after.time, rhythm)
    for frame in clip:
        begins = person is not None and person.number is None
        if frame.time < due and not begins:
            continue
        picture = _fitted(np.ascontiguousarray(frame.pixels[..., :3]))
        if begins and person is not None:
            person.begin(picture)
        if frame.time < due:
            continue
        points = tracker(picture)
        chances: tuple[float, ...] | None = None
        if points is not None:
            crop = alignment.sample_quad(picture, ffhq_quad(points), recogniser.size)
            chances = tuple(round(chance, _DIGITS) for chance in recogniser(crop[None])[0].tolist())
        yield Look(frame.time, chances, tracker.box, tracker.track)
        due = _next_due(frame.time, rhythm)


def _fitted(picture: Pixels) -> Pixels:
    """The picture, or a copy reduced to the largest size that is analysed."""
    scale = _LARGEST / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _next_due(time: Fraction, rate: Fraction) -> Fraction:
    return (math.floor(time * rate) + 1) / rate


def _emotion_of(label: str) -> Emotion:
    word = label.strip().lower()
    return Emotion.of(next((name for name, others in _ALSO_CALLED.items() if word in others.split()), word))


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"latentface_recogniser_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
