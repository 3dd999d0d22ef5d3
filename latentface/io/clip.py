"""Clips as values: a stream of frames with exact timestamps, the frame rate as a fraction, and the sound.

A clip stores no pixels: its frames are computed on demand, so an hour needs no more memory than one frame. Every time
is an exact fraction of seconds from the clip's first frame, whatever time base a file uses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from latentface.arrays import Float64Array, Pixels
from latentface.errors import UsageError
from latentface.io.provenance import SourceType

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        pixels: uint8 RGB [H, W, 3], or RGBA [H, W, 4] in a clip with alpha.
        time: in seconds.
        face: the landmarks [68, 2] of a face that was drawn into it, by what drew it; None if nobody knows any.
    """

    pixels: Pixels
    time: Fraction
    face: Float64Array | None = None

    def with_colours(self, rgb: Pixels) -> Frame:
        """The frame with other colours, uint8 RGB [H, W, 3], and its own alpha."""
        pixels = rgb if self.pixels.shape[2] == 3 else np.dstack([rgb, self.pixels[..., 3:]])
        return replace(self, pixels=pixels)


@dataclass(frozen=True)
class Sound:
    """The sound of a file, which is copied from there when a clip is written.

    start: the time in that file, in its own seconds, at which the clip's time 0 lies.
    """

    path: Path
    start: Fraction = Fraction(0)


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in time order, and what is known about all of them.

    Attributes:
        frames: `Frame`s of one size. A list or another reusable iterable, such as a clip read from a file, can be
            iterated over repeatedly. An iterator, such as a generator or a camera, yields each frame only once
            (`once`); use `ahead` to inspect its beginning without losing frames. The results of `map`, `through`
            and `resampled` behave like the clip they are made from.
        rate: exact frames a second; for a variable rate the mean, while the frames have their own times.
        size: width and height in pixels.
        count: the number of frames, if it is known in advance.
        alpha: whether the frames have a fourth channel.
        sound: the sound that belongs to it, or None.
        source_type: the IPTC term for what a network did to the pixels (see `latentface.io.provenance`); None for an
            unchanged clip.
        notes: changes made to the frames when they were read, one line each; for a file whose end is
            damaged, one more after the clip has been read to its end.
        xmp: the XMP packet of the photo or clip that it was made from, which is written into the file.

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
    notes: Sequence[str] = ()
    xmp: bytes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", as_rate(self.rate))
        if min(self.size) < 1:
            raise UsageError(f"a clip of {self.size[0]} x {self.size[1]} pixels: expected at least 1 x 1")

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @property
    def live(self) -> bool:
        """Whether the clip has no end that is known, as a camera: each frame is wanted as soon as it is there."""
        return self.once and self.count is None

    @property
    def once(self) -> bool:
        """Whether the clip can be iterated over only once."""
        return isinstance(self.frames, Iterator)

    def ahead(self, most: int) -> tuple[Iterator[Frame], Clip]:
        """Frames from the beginning, for inspection, and the clip to iterate over afterwards, which contains them all.

        For a clip that yields each frame once, only the first `most` frames are available, and they stay in memory
        until the second value has yielded them; for any other clip all frames are available.
        """
        if not self.once:
            return iter(self.frames), self
        frames, kept = iter(self.frames), deque[Frame]()

        def beginning() -> Iterator[Frame]:
            for frame in islice(frames, most):
                kept.append(frame)
                yield frame

        def whole() -> Iterator[Frame]:
            while kept:
                yield kept.popleft()
            yield from frames

        return beginning(), replace(self, frames=whole())

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

        def timed(pictures: Iterable[Pixels]) -> Iterator[Frame]:
            return (Frame(pixels, k * step) for k, pixels in enumerate(pictures))

        return cls(_made(pictures, timed), Fraction(rate), size, count, alpha, sound, source_type)

    def map(self, edit: Callable[[Pixels], Pixels], size: tuple[int, int] | None = None) -> Clip:
        """The clip with a function applied to every picture; size: the new (width, height), if it changes."""

        def edited(frames: Iterable[Frame]) -> Iterator[Frame]:
            for frame in frames:
                yield Frame(edit(frame.pixels), frame.time, frame.face if size is None else None)

        return replace(self.through(edited), size=size or self.size)

    def through(self, change: Callable[[Iterable[Frame]], Iterator[Frame]]) -> Clip:
        """The clip with its frames as a generator function changes them, which sees them all in order."""
        return replace(self, frames=_made(self.frames, change))

    def resampled(self, rate: Fraction | int) -> Clip:
        """The clip at a constant rate: the frame at k / rate is the latest one; frames are repeated or dropped."""
        chosen = as_rate(rate)
        made = self.through(lambda frames: _resample(frames, self.rate, chosen))
        return replace(made, rate=chosen, count=None)


@dataclass(frozen=True)
class _Anew:
    """Frames that are computed again in each iteration."""

    make: Callable[[], Iterator[Frame]]

    def __iter__(self) -> Iterator[Frame]:
        return self.make()


def _made(source: Iterable[Item], make: Callable[[Iterable[Item]], Iterator[Frame]]) -> Iterable[Frame]:
    """The result of `make` on a source: iterable once if the source is an iterator, otherwise repeatedly."""
    return make(source) if isinstance(source, Iterator) else _Anew(lambda: make(source))


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
    return as_rate(rate if "/" in text or rate.denominator == 1 else _meant(rate, Decimal(text)))


def _meant(rate: Fraction, written: Decimal) -> Fraction:
    """The NTSC rate n * 1000/1001 that a decimal is the rounding of, or the rate itself."""
    broadcast = Fraction(round(rate) * 1000, 1001)
    return broadcast if round(broadcast, -int(written.as_tuple().exponent)) == rate else rate


def _resample(frames: Iterable[Frame], old: Fraction, new: Fraction) -> Iterator[Frame]:
    k, shown = 0, None
    for frame in frames:
        while shown is not None and k / new < frame.time:
            yield replace(shown, time=k / new)
            k += 1
        shown = frame
    if shown is not None:
        end = shown.time + 1 / old
        while k / new < end:
            yield replace(shown, time=k / new)
            k += 1
