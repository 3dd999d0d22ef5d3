"""History as a value."""

from __future__ import annotations

from latentface.studio.history import MOST, History


def test_steps_are_undone_and_done_again() -> None:
    history = History(0).push(1).push(2)
    assert history.undo().present == 1
    assert history.undo().undo().present == 0
    assert history.undo().undo().redo().redo() == history


def test_nothing_to_undo_or_redo_changes_nothing() -> None:
    history = History("a")
    assert history.undo() is history
    assert history.redo() is history


def test_a_new_step_forgets_what_was_undone() -> None:
    history = History(0).push(1).push(2).undo().push(3)
    assert history.redo() is history
    assert history.undo().present == 1


def test_steps_of_one_label_are_undone_together() -> None:
    history = History(0.0).push(0.1, "smile").push(0.2, "smile").push(0.3, "smile").push(1.0, "jaw")
    assert history.undo().present == 0.3
    assert history.undo().undo().present == 0.0


def test_the_past_ends_somewhere() -> None:
    history: History[int] = History(0)
    for step in range(3 * MOST):
        history = history.push(step)
    assert len(history.past) == MOST
