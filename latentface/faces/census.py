"""Who is in a film, when, and what they look like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from latentface.arrays import Float64Array, Pixels
from latentface.faces.alignment import crop_face
from latentface.faces.crop import ffhq_quad, frontality
from latentface.faces.people import People

GAP = 0.5  # seconds: somebody who is away for less has not left
SIDE = 256


@dataclass
class Appearance:
    """Somebody in a film.

    Attributes:
        number: from 1, as faces are numbered in the first frame that shows any, then in the order of appearance; the
            number of somebody who turned out to be another one is left out.
        picture: their best picture, an aligned crop, uint8 RGB [256, 256, 3].
        time: when it was taken, in seconds.
        spans: when they are seen, from and to in seconds.
        frames: in how many frames.
    """

    number: int
    picture: Pixels
    time: float
    spans: list[tuple[float, float]] = field(default_factory=list)
    frames: int = 0
    merit: float = 0.0

    def see(self, picture: Pixels, points: Float64Array, time: float) -> None:
        """Take a frame at a time into account that shows them at landmarks [68, 2]."""
        self.frames += 1
        if self.spans and time - self.spans[-1][1] < GAP:
            self.spans[-1] = (self.spans[-1][0], time)
        else:
            self.spans.append((time, time))
        merit = _merit(points)
        if merit > 1.2 * self.merit:
            self.merit, self.time, self.picture = merit, time, crop_face(picture, points, SIDE).image

    def join(self, other: Appearance) -> None:
        """Take what was seen of them while they were taken for somebody else."""
        self.frames += other.frames
        spans = sorted([*self.spans, *other.spans])
        self.spans = spans[:1]
        for start, end in spans[1:]:
            if start - self.spans[-1][1] < GAP:
                self.spans[-1] = (self.spans[-1][0], max(end, self.spans[-1][1]))
            else:
                self.spans.append((start, end))
        if other.merit > 1.2 * self.merit:
            self.merit, self.time, self.picture = other.merit, other.time, other.picture


def take_census(frames: Iterable[tuple[float, Pixels]], people: People) -> list[Appearance]:
    """Everybody in frames, each a time in seconds and uint8 RGB [H, W, 3], in the order of their numbers."""
    found: dict[int, Appearance] = {}
    for (time, picture), here in people.through((frame, frame[1]) for frame in frames):
        for number, points in here.items():
            if number not in found:
                found[number] = Appearance(number, crop_face(picture, points, SIDE).image, time)
            found[number].see(picture, points, time)
    for number, other in people.merged.items():
        if number in found:
            found[other].join(found.pop(number))
    return [found[number] for number in sorted(found)]


def _merit(points: Float64Array) -> float:
    """How good a picture of a face is: large, and from the front."""
    quad = ffhq_quad(points)
    return float(((quad[3] - quad[0]) ** 2).sum() ** 0.5) * (0.2 + frontality(points))
