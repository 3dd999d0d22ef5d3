"""Timelines as tables: consecutive emotions, and changes of a clip with a start and an end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latentface.editing.keyframes import Keyframes
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.errors import UsageError
from latentface.studio.sliders import SLIDERS, Slider

Rows = Sequence[Sequence[object]]
SHORTEST_FADE = 0.04  # seconds: a frame


def filled(rows: Rows) -> Iterator[tuple[int, Sequence[object]]]:
    """The non-empty rows of a table with their numbers, counted from 1; a cleared table still has one empty row."""
    for number, row in enumerate(rows, 1):
        if row and row[0] is not None and str(row[0]).strip() not in ("", "nan"):
            yield number, row


def parse_blocks(rows: Rows) -> EmotionSequence:
    """Parse consecutive emotions: emotion, seconds and strength in each row.

    Raises UsageError, which names the line, for anything else.
    """
    segments = []
    for number, row in filled(rows):
        try:
            seconds, strength = (float(str(each)) for each in row[1:3])
            segments.append(EmotionSegment(Emotion.of(str(row[0]).strip()), strength, seconds))
        except ValueError as error:  # UsageError is one
            raise UsageError(f"row {number}: {error}; expected an emotion, seconds, and a strength of 0 to 2") from None
    return EmotionSequence(tuple(segments))


@dataclass(frozen=True)
class Block:
    """A change of a face between two times.

    Attributes:
        slider: what changes.
        value: by how much, within the slider's range.
        start: seconds from the beginning of the clip.
        end: likewise; None for the clip's end.
    """

    slider: Slider
    value: float
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        low, high = self.slider.low, self.slider.high
        if not low <= self.value <= high:
            raise UsageError(f"{self.slider.title} by {self.value:g}; expected a number from {low:g} to {high:g}")
        if not 0 <= self.start < math.inf or not (self.end is None or self.start < self.end < math.inf):
            raise UsageError(f"{self.slider.title} from {self.start:g} to {self.end}; expected seconds that rise")

    def keys(self, fade: float) -> tuple[tuple[float, float], ...]:
        """The keyframes as times and values: the change eases in and out, except at the ends of the clip."""
        start, end = self.start, math.inf if self.end is None else self.end
        fade = min(max(fade, SHORTEST_FADE), (end - start) / 2)
        keys = [(start, 0.0), (start + fade, self.value)] if start else [(0.0, self.value)]
        keys += [(end - fade, self.value), (end, 0.0)] if self.end is not None else []
        return tuple(keys)


def parse_changes(rows: Rows) -> tuple[Block, ...]:
    """Parse changes of a clip: what, by how much, from second, to second in each row.

    Without the last value, or with 0, a change lasts until the end. Raises UsageError, which names the line, for
    anything else.
    """
    known = {word.lower(): slider for slider in SLIDERS for word in (slider.name, slider.title)}
    blocks = []
    for number, row in filled(rows):
        word = str(row[0]).strip()
        try:
            if word.lower() not in known:
                raise UsageError(f"there is no emotion or control {word!r}")
            value, start, end = (_number(each) for each in (*row[1:4], *[None] * (4 - len(row))))
            if value is None:
                raise UsageError("by how much is missing")
            blocks.append(Block(known[word.lower()], value, start or 0.0, end or None))
        except ValueError as error:
            raise UsageError(f"row {number}: {error}") from None
    return tuple(blocks)


def _number(cell: object) -> float | None:
    """The number in a cell, None for an empty one."""
    text = "" if cell is None else str(cell).strip()
    return None if text in ("", "nan") else float(text)


def keyframes_of(blocks: Sequence[Block], fade: float) -> Keyframes:
    """Changes as values over time.

    Args:
        blocks: the changes; those of one slider may follow each other.
        fade: duration of easing in and out in seconds, at least `SHORTEST_FADE`.

    Raises:
        UsageError: two changes of one slider at the same time.
    """
    constant, keys = dict[str, float](), dict[str, dict[float, float]]()
    ends = dict[str, float]()
    for each in sorted(blocks, key=lambda block: block.start):
        name = each.slider.key
        if each.start < ends.get(name, 0.0):
            raise UsageError(f"{each.slider.title} changes twice at {each.start:g} s; let one end before the other")
        ends[name] = math.inf if each.end is None else each.end
        if each.start == 0 and each.end is None:
            constant[name] = each.value
        else:
            keys.setdefault(name, {}).update(each.keys(fade))
    return Keyframes(constant, {name: tuple(sorted(values.items())) for name, values in keys.items()})
