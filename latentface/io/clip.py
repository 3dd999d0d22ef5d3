"""Clips as values: frames that come one by one with their exact times, the frame rate as a fraction, and the sound.

A clip holds no pixels of its own: its frames are made while they are asked for, so an hour takes the memory of one
frame. Every time is a fraction of seconds from the clip's first frame, whatever clock a file counts in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from latentface.arrays import Pixels
from latentface.errors import UsageError
from latentface.io.provenance import SourceType


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: pixels uint8 RGB [H, W, 3], or RGBA [H, W, 4] in a clip with alpha; time in seconds."""

    pixels: Pixels
    time: Fraction


@dataclass(frozen=True)
class Sound:
    """The sound of a file, copied from there when a clip is written.

    start: the time in that file, in its own seconds, at which the clip's time 0 lies.
    """

    path: Path
    start: Fraction = Fraction(0)


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in time order, and what is known about all of them.

    Attributes:
        frames: `Frame`s of one size; a clip that was read from a file can be gone through again and again, a clip that
            is computed on the way only once.
        rate: frames a second, exact; for a variable rate the mean, and the frames' own times count.
        size: width and height in pixels.
        count: how many frames there are, when that is known beforehand.
        alpha: whether the frames have a fourth channel.
        sound: the sound that belongs to it, or None.
        source_type: what a network did to the pixels, by the rule of `latentface.io.provenance`; None for a clip that
            was read.

    Raises:
        UsageError: a rate or size that is not positive.
    """

    frames: Iterable[Frame] = field(repr=False)
    rate: Fraction
    size: tuple[int, int]
    count: int | None = None
    alpha: bool = False
    sound: Sound | None = None
    source_type: SourceType | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", as_rate(self.rate))
        if min(self.size) < 1:
            raise UsageError(f"a clip of {self.size[0]} x {self.size[1]} pixels: expected at least 1 x 1")

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @classmethod
    def of(
        cls,
        pictures: Iterable[Pixels],
        rate: Fraction | int,
        size: tuple[int, int],
        *,
        count: int | None = None,
        alpha: bool = False,
        sound: Sound | None = None,
        source_type: SourceType | None = None,
    ) -> Clip:
        """A clip of pictures at a constant rate: frame k is shown at k / rate."""
        step = 1 / as_rate(rate)
        frames = (Frame(pixels, k * step) for k, pixels in enumerate(pictures))
        return cls(frames, Fraction(rate), size, count, alpha, sound, source_type)

    def map(self, edit: Callable[[Pixels], Pixels], size: tuple[int, int] | None = None) -> Clip:
        """The clip with every picture edited as it passes; size: the new (width, height), if that changes."""
        frames = (Frame(edit(frame.pixels), frame.time) for frame in self.frames)
        return replace(self, frames=frames, size=size or self.size)

    def resampled(self, rate: Fraction | int) -> Clip:
        """The clip at a constant rate: at each k / rate the latest frame is shown again, others are left out."""
        chosen = as_rate(rate)
        return replace(self, frames=_resample(self.frames, self.rate, chosen), rate=chosen, count=None)


def as_rate(rate: Fraction | int) -> Fraction:
    """A frame rate as an exact fraction; UsageError unless it is an int or a Fraction from 1/1000 to 1000."""
    if not isinstance(rate, int | Fraction) or not Fraction(1, 1000) <= rate <= 1000:
        raise UsageError(f"frame rate {rate!r}: expected a whole number or a Fraction from 1/1000 to 1000")
    return Fraction(rate)


def parse_rate(text: str) -> Fraction:
    """`25`, `30000/1001` or `29.97` (which stands for 30000/1001) as an exact fraction; UsageError otherwise."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"frame rate {text!r}: expected a number such as 25, 29.97 or 30000/1001") from None
    broadcast = Fraction(round(rate) * 1000, 1001)  # NTSC rates are written rounded to two or three decimals
    return as_rate(broadcast if rate.denominator > 1 and abs(rate - broadcast) < Fraction(1, 150) else rate)


def _resample(frames: Iterable[Frame], old: Fraction, new: Fraction) -> Iterator[Frame]:
    k, shown = 0, None
    for frame in frames:
        while shown is not None and k / new < frame.time:
            yield Frame(shown.pixels, k / new)
            k += 1
        shown = frame
    if shown is not None:
        end = shown.time + 1 / old
        while k / new < end:
            yield Frame(shown.pixels, k / new)
            k += 1
