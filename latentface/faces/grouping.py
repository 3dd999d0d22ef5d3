"""Whose the stretches of a film are: grouped by what they look like, since nobody is in two places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from latentface.arrays import FloatArray
from latentface.faces.alignment import overlap
from latentface.faces.stretch import FRONTAL, LIKELY, MET, SAME, SETTLED, SURE, Person, Stretch, unit

STAY = 0.25  # what somebody is ahead of others who was lost where a stretch begins
RECENT = 25  # frames for which it is known where somebody was lost


@dataclass(eq=False)
class Group:
    """Stretches of one person, who is None if they are not known."""

    look: FloatArray
    stretches: list[Stretch] = field(default_factory=list)
    person: Person | None = None

    @property
    def is_face(self) -> bool:
        """Whether it may be somebody new."""
        settled = sum(each.pictures for each in self.stretches) >= SETTLED
        if not settled and all(each.lost for each in self.stretches):
            return False
        score, frontal = (max(getattr(each, name) for each in self.stretches) for name in ("score", "frontal"))
        return bool(frontal > FRONTAL and score >= (LIKELY if settled else SURE))

    def gain(self, other: Group) -> float:
        """How far it looks more like another group than strangers do; negative if they are not one."""
        if self._is_apart(other) or other._is_apart(self) or (self.person is not None and other.person is not None):
            return -np.inf
        return float(self.look @ other.look) - SAME + STAY * (self._continues(other) or other._continues(self))

    def join(self, other: Group) -> None:
        """Take the stretches of another group, and its person."""
        self.stretches += other.stretches
        self.person = self.person or other.person
        self.look = self.person.look if self.person else unit(np.sum([each.total for each in self.stretches], axis=0))

    def _is_apart(self, other: Group) -> bool:
        """Whether one of its stretches is in a frame with one of the other group."""
        beside = set[Stretch]().union(*(each.beside for each in self.stretches))
        taken = other.person is not None and any(each.fixed and each.person is other.person for each in beside)
        return taken or not beside.isdisjoint(other.stretches)

    def _continues(self, other: Group) -> bool:
        """Whether one of its stretches begins where one of the other group was lost before."""
        ends = [*other.stretches, *([other.person.last] if other.person and other.person.last else [])]
        return any(_continues(each, end) for each in self.stretches for end in ends)


def grouped(stretches: Sequence[Stretch], people: Sequence[Person]) -> list[Group]:
    """The stretches in groups of one person each, the most alike first; everybody known has one, which may be empty."""
    groups = [Group(each.look, person=each) for each in people]
    groups += [Group(unit(each.total), [each]) for each in stretches if each.pictures]
    gains = np.full((len(groups), len(groups)), -np.inf)
    for j in range(len(people), len(groups)):
        gains[:j, j] = [each.gain(groups[j]) for each in groups[:j]]
    while gains.size and gains.max() > 0:
        i, j = divmod(int(gains.argmax()), len(groups))
        groups[i].join(groups.pop(j))
        gains = np.delete(np.delete(gains, j, 0), j, 1)
        gains[:i, i] = [each.gain(groups[i]) for each in groups[:i]]
        gains[i, i + 1 :] = [groups[i].gain(each) for each in groups[i + 1 :]]
    return groups


def _continues(stretch: Stretch, end: Stretch) -> bool:
    recent = stretch.shot == end.shot and 0 <= stretch.began - end.ended < RECENT
    return recent and overlap(stretch.first, end.last) > MET
