"""The history of undo and redo, as an immutable value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 100  # steps that can be undone


@dataclass(frozen=True)
class History(Generic[T]):
    """A value, the values before it, and those that were undone.

    Attributes:
        present: what is now.
        past: earlier values, oldest first.
        future: undone values; the next one to redo is the last.
        label: the step that led to the present value; further steps with the same label replace it.
        turn: a number for whoever shows it, to tell reports on what was shown before from those on what is shown now;
            steps keep it.
    """

    present: T
    past: tuple[T, ...] = ()
    future: tuple[T, ...] = ()
    label: str = ""
    turn: int = 0

    def push(self, value: T, label: str = "") -> History[T]:
        """The history after one step more; what was undone is gone.

        Consecutive steps with the same label, such as those of a slider that is being dragged, are undone together.
        """
        past = self.past if label and label == self.label else (*self.past, self.present)
        return replace(self, present=value, past=past[-MOST:], future=(), label=label)

    def undo(self) -> History[T]:
        """One step back; itself where there is none."""
        if not self.past:
            return self
        future = (*self.future, self.present)
        return replace(self, present=self.past[-1], past=self.past[:-1], future=future, label="")

    def redo(self) -> History[T]:
        """The step that was undone last; itself where there is none."""
        if not self.future:
            return self
        past = (*self.past, self.present)
        return replace(self, present=self.future[-1], past=past, future=self.future[:-1], label="")
