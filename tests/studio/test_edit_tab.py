"""The callbacks of the first tab, in an order in which a page in a hurry may ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import gradio as gr

from latentface.studio.desk import Desk, Shared
from latentface.studio.edit_tab import Callbacks, EditTab
from latentface.studio.session import Edited, Session, Subject
from latentface.studio.sliders import SLIDERS
from latentface.studio.work import Workshop


class Told:
    """In place of the tab: whether all of a session was shown, the values of its sliders, and its turn."""

    def shown(self, session: Session) -> dict[Any, Any]:
        return {"all": True, "changes": session.present.changes, "turn": session.turn}

    def moved(self, session: Session) -> dict[Any, Any]:
        return {"all": False, "changes": session.present.changes}


def test_a_late_report_of_a_slider_does_not_undo_the_undoing(tmp_path: Path) -> None:
    desk = Desk(cast(Workshop, None), Shared(tmp_path))
    callbacks = Callbacks(desk, cast(EditTab, Told()), gr.BrowserState(""))
    desk.sessions.put("someone", Session(Edited(cast(Subject, None)), turn=3))

    def report(blink: float, turn: int) -> dict[Any, Any]:
        return callbacks.move("someone", turn, *(blink if slider.name == "blink" else 0.0 for slider in SLIDERS))

    typed = {"all": False, "changes": {"blink+": 0.8}}
    assert report(0.8, 3) == report(0.8, 3) == typed
    undone = callbacks.step(Session.undo, "someone")
    assert undone == {"all": True, "changes": {}, "turn": 4}
    assert report(0.8, 3) == undone
    assert report(0.8, 4) == typed
