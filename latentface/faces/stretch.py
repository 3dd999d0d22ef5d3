"""Stretches of a film in which a face is followed without a doubt, and the people whose stretches they are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from latentface.arrays import Float64Array, FloatArray
from latentface.faces.crop import frontality

SAME = 0.3  # cosine from which on two stretches show one person
MET = 0.1  # intersection over union of two faces' boxes from which on they may be mistaken for each other
SETTLED = 4  # pictures after which it is clear what a face looks like
PICTURES = 24.0  # the mean over so many pictures is what a person looks like
#: Detection scores from which on a face may be somebody's who is known, from which on it is somebody new if it can be
#: followed for a while, and from which on it is somebody new at once.
WEAK, LIKELY, SURE = -0.7, -0.6, 0.0
FRONTAL = 0.2  # `frontality` from which on a face is good enough for somebody new


@dataclass(eq=False)
class Person:
    """Somebody in a film.

    Attributes:
        number: from 1, in the order in which they appear.
        look: the mean of their identity embeddings, a unit vector [D].
        pictures: how many it is the mean of; 0 while it is not sure that they are not somebody else.
        last: their last stretch.
    """

    number: int
    look: FloatArray
    pictures: float = 1.0
    last: Stretch | None = None

    def learn(self, total: FloatArray, pictures: int = 1) -> None:
        """Take more pictures into account: the sum of their embeddings, [D]."""
        self.look = unit(self.look * min(self.pictures, max(PICTURES - pictures, 0)) + total)
        self.pictures = min(self.pictures + pictures, PICTURES)


@dataclass(eq=False)
class Stretch:
    """A face that is followed by its place for as long as it cannot be mistaken for another.

    Attributes:
        shot: the number of its shot.
        began, ended: the numbers of its first and its last frame.
        first, last: its boxes [4] in these, as `box_around` gives them.
        score: its best detection score.
        frontal: the largest `frontality` of a picture of it.
        total: the sum of the identity embeddings of its pictures, [D], of which there are `pictures`.
        beside: other stretches that were in a frame with it, until it is fixed.
        person: whose it is, as far as is known.
        fixed: that does not change any more.
        lost: it ended before its shot did.
        followed_back: nothing more of it can be found in earlier frames.
    """

    shot: int
    began: int
    first: Float64Array
    score: float = WEAK
    ended: int = -1
    last: Float64Array = field(default_factory=lambda: np.zeros(4))
    frontal: float = 0.0
    total: FloatArray = field(default_factory=lambda: np.zeros(1))
    pictures: int = 0
    beside: set[Stretch] = field(default_factory=set)
    person: Person | None = None
    fixed: bool = False
    lost: bool = False
    followed_back: bool = False

    @property
    def settled(self) -> bool:
        """Whether it is clear what it looks like."""
        return self.pictures >= SETTLED

    def see(self, look: FloatArray, points: Float64Array) -> None:
        """Take a picture into account: its identity embedding [D] and its landmarks [68, 2]."""
        self.pictures += 1
        self.total = self.total + look
        self.frontal = max(self.frontal, frontality(points))
        if self.fixed and self.person is not None and self.person.look @ look > SAME:
            self.person.learn(look)

    def likeness(self, look: FloatArray) -> float:
        """How much what looks so is like it, a cosine; -1 if it has not been looked at."""
        return float(unit(self.total) @ look) if self.pictures else -1.0

    def meet(self, others: set[Stretch]) -> None:
        """Be in one frame with others."""
        if not self.fixed:
            self.beside |= others
        for other in others:
            if not other.fixed:
                other.beside.add(self)

    def fix(self) -> None:
        """It is sure whose it is."""
        self.fixed, self.beside = True, set()
        if self.person is not None:
            self.person.learn(self.total, self.pictures)


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors [..., D] of length 1."""
    made: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return made
