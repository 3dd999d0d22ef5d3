"""The seven emotions, and sequences of them as expression videos use them."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from latentface.errors import InputError, UsageError
from latentface.io.atomic import atomic_path
from latentface.io.paths import reason

FORMAT = "latentface-emotions-1"
EXPECTED = "expected a file that `latentface sequence` wrote"


class Emotion(Enum):
    """The neutral face and Ekman's six basic emotions, in the order of the classifier's outputs."""

    NEUTRAL = "neutral"
    HAPPINESS = "happiness"
    SADNESS = "sadness"
    SURPRISE = "surprise"
    ANGER = "anger"
    DISGUST = "disgust"
    FEAR = "fear"

    @property
    def index(self) -> int:
        """Its index among the classifier's outputs, 0 to 6."""
        return list(Emotion).index(self)

    @classmethod
    def of(cls, name: str) -> Emotion:
        """The emotion with a name, in any case; an unknown name raises UsageError, which lists the names."""
        try:
            return cls(name.strip().lower())
        except ValueError:
            raise UsageError(
                f"no emotion {reprlib.repr(name)}; expected one of {', '.join(e.value for e in cls)}"
            ) from None


@dataclass(frozen=True)
class EmotionSegment:
    """An emotion shown for `duration` seconds (more than 0) at `strength` (0 none, 1 full, up to 2 exaggerated)."""

    emotion: Emotion
    strength: float
    duration: float

    def __post_init__(self) -> None:
        if not isinstance(self.emotion, Emotion):
            raise UsageError(
                f"a segment's emotion is {self.emotion!r}; expected an Emotion, such as Emotion.of('fear')"
            )
        if not (_is_number(self.strength) and 0 <= self.strength <= 2):
            raise UsageError(f"a segment's strength is {reprlib.repr(self.strength)}; expected a number from 0 to 2")
        if not (_is_number(self.duration) and self.duration > 0):
            raise UsageError(f"a segment's duration is {reprlib.repr(self.duration)}; expected seconds, more than 0")


@dataclass(frozen=True)
class EmotionSequence:
    """One or more segments that follow each other without gaps."""

    segments: tuple[EmotionSegment, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.segments))
        if not self.segments:
            raise UsageError("an emotion sequence without segments; expected at least one")

    @property
    def duration(self) -> float:
        """Total duration in seconds."""
        return math.fsum(segment.duration for segment in self.segments)

    def lasting(self, seconds: float) -> EmotionSequence:
        """The same emotions, scaled to a total of `seconds`; UsageError unless that is more than 0."""
        if not (_is_number(seconds) and seconds > 0):
            raise UsageError(f"a sequence of {seconds!r} seconds; expected more than 0")
        factor = seconds / self.duration
        return EmotionSequence(tuple(replace(s, duration=factor * s.duration) for s in self.segments))

    @classmethod
    def of(cls, text: str, each: float = 2.0) -> EmotionSequence:
        """`happiness,surprise=1.5,neutral`: names with strengths (1 if left out), each lasting `each` seconds.

        Raises UsageError for an unknown emotion (the message lists the known ones) or a strength outside 0 to 2.
        """
        segments = []
        for word in text.split(","):
            name, given, number = word.partition("=")
            emotion = Emotion.of(name)
            try:
                strength = float(number) if given else 1.0
            except ValueError:
                raise UsageError(f"{word.strip()!r}: expected a number after =, such as {name.strip()}=1.5") from None
            segments.append(EmotionSegment(emotion, strength, each))
        return cls(tuple(segments))

    def to_json(self) -> str:
        """JSON text; `from_json` reads it back unchanged."""
        segments = [{"emotion": s.emotion.value, "strength": s.strength, "duration": s.duration} for s in self.segments]
        return json.dumps({"format": FORMAT, "segments": segments}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EmotionSequence:
        """Parse the output of `to_json`, or JSON written by hand; the strength may be left out and is then 1.

        Raises InputError for malformed text; the message names the segment at fault.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not an emotion sequence: no JSON ({error}); {EXPECTED}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f'not an emotion sequence: expected {{"format": "{FORMAT}", "segments": [...]}}')
        segments = content.get("segments")
        if not isinstance(segments, list) or not segments:
            raise InputError("an emotion sequence needs segments: a list of at least one")
        return cls(tuple(_read_segment(number, entry) for number, entry in enumerate(segments, 1)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file; OutputError if it cannot be written."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EmotionSequence:
        """Read a JSON file; InputError if it is missing or malformed."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{os.fspath(path)} cannot be read as an emotion sequence: {reason(error)}; {EXPECTED}"
            ) from None
        try:
            return cls.from_json(text)
        except InputError as error:
            raise InputError(f"{os.fspath(path)}: {error}") from None


def _read_segment(number: int, entry: object) -> EmotionSegment:
    if not isinstance(entry, Mapping) or not {"emotion", "duration"} <= entry.keys() <= {
        "emotion", "strength", "duration",
    }:  # fmt: skip
        shown = reprlib.repr(entry)
        raise InputError(f"segment {number} is {shown}; expected emotion, duration and, if wanted, strength")
    try:
        return EmotionSegment(Emotion.of(str(entry["emotion"])), entry.get("strength", 1.0), entry["duration"])
    except UsageError as error:
        raise InputError(f"segment {number}: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
