"""The tab where a photo's face is edited: sliders, presets, before and after, undo, save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from latentface.errors import UsageError
from latentface.studio import session as engine
from latentface.studio.commands import edit_commands
from latentface.studio.desk import Desk, Shared, explained, new_token
from latentface.studio.faces import face_picker, frame_faces
from latentface.studio.job_panel import JobPanel, add_job_panel
from latentface.studio.results import PICTURES
from latentface.studio.session import Edited, Session, Subject
from latentface.studio.sliders import GROUPS, PRESETS, SLIDERS, changes_of
from latentface.studio.tool import command_box, photo_drop

THUMBNAIL = 96  # pixels
BUTTONS = (("undo", "Undo", 64), ("redo", "Redo", 64), ("reset", "Reset", 64), ("apply", "Apply and go on", 150))
NO_PHOTO = "drop a photo first"


@dataclass(frozen=True)
class EditTab:
    """The components that callbacks update."""

    photo: gr.Image
    another: gr.Button
    compare: gr.ImageSlider
    picker: gr.Image
    face: gr.Radio
    sliders: list[gr.Slider]
    presets: list[gr.Button]
    undo: gr.Button
    redo: gr.Button
    reset: gr.Button
    apply: gr.Button
    kind: gr.Radio
    save: gr.Button
    command: gr.Textbox
    turn: gr.Number
    shared: Shared

    def blank(self) -> dict[Any, Any]:
        """The tab before there is a photo."""
        hidden = {each: gr.update(visible=False) for each in (self.compare, self.another, self.picker, self.face)}
        plain = {each: gr.update(icon=None) for each in self.presets}
        return {self.photo: gr.update(value=None, visible=True), **hidden, **plain}

    def pair(self, edited: Edited) -> tuple[str, str]:
        """The files of the pictures before and after."""
        return self.shared.picture(edited.subject.window.pixels), self.shared.picture(edited.preview)

    def moved(self, session: Session) -> dict[Any, Any]:
        """The outputs that change while a slider moves."""
        now = session.present
        return {
            self.compare: self.pair(now),
            self.undo: gr.update(interactive=bool(session.past)),
            self.redo: gr.update(interactive=bool(session.future)),
            self.apply: gr.update(interactive=bool(now.changes)),
            self.command: edit_commands(now),
        }

    def shown(self, session: Session) -> dict[Any, Any]:
        """All outputs of the tab, as the session has them."""
        subject, changes = session.present.subject, session.present.changes
        several = len(subject.faces) > 1
        framed = frame_faces(subject, [subject.number])[0] if several else None
        values = {each: changes.get(slider.key, 0.0) for each, slider in zip(self.sliders, SLIDERS, strict=True)}
        rest: dict[Any, Any] = {
            self.turn: session.turn,
            self.photo: gr.update(value=None, visible=False),
            self.compare: gr.update(visible=True, value=self.pair(session.present)),
            self.another: gr.update(visible=True),
            self.picker: gr.update(visible=several, value=framed),
            self.face: gr.update(
                visible=several, choices=[(f"Face {k + 1}", k + 1) for k in range(len(subject.faces))],
                value=subject.number,
            ),
            **values,
        }  # fmt: skip
        return self.moved(session) | rest

    @property
    def outputs(self) -> list[Any]:
        """The components that `shown` and `blank` update."""
        filled = [self.photo, self.another, self.compare, self.picker, self.face, *self.sliders, *self.presets]
        return [*filled, self.undo, self.redo, self.apply, self.command, self.turn]


def build_edit(desk: Desk, token: gr.BrowserState) -> tuple[EditTab, JobPanel]:
    """Lay the tab out and tie its callbacks."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320, elem_classes="sticky"):
            left = _left()
            panel = add_job_panel(desk, token, "Edit")
        with gr.Column(scale=2, min_width=320):
            with gr.Row(elem_classes="presets"):
                presets = [gr.Button(name, size="sm", min_width=72) for name in PRESETS]
            sliders = _sliders()
    tab = EditTab(**left, sliders=sliders, presets=presets, shared=desk.shared)
    callbacks = Callbacks(desk, tab, token)
    loaded: dict[str, Any] = {"outputs": tab.outputs, "api_visibility": "private"}
    loaded["show_progress_on"] = [tab.photo, tab.compare]
    opened = {**loaded, "outputs": [token, *tab.outputs]}
    tab.another.click(tab.blank, None, **loaded)
    other_subject = [
        tab.photo.upload(callbacks.open, [token, tab.photo], **opened),
        tab.picker.select(callbacks.pick, [token], **loaded),
        tab.face.input(callbacks.choose, [token, tab.face], **loaded),
        tab.apply.click(partial(callbacks.step, engine.applied), [token], **loaded),
    ]
    for event in other_subject:
        event.then(callbacks.prepare, [token], presets, show_progress="hidden", api_visibility="private")
    for button, step in ((tab.undo, Session.undo), (tab.redo, Session.redo)):
        button.click(partial(callbacks.step, step), [token], **loaded)
    for button, changes in zip(presets, PRESETS.values(), strict=True):
        button.click(partial(callbacks.preset, changes), [token], **loaded)
    tab.reset.click(partial(callbacks.preset, {}), [token], **loaded)
    gr.on(
        [event for slider in sliders for event in (slider.input, slider.release)], callbacks.move,
        [token, tab.turn, *sliders], tab.outputs,
        trigger_mode="always_last", show_progress="hidden", queue=False, api_visibility="private",
    )  # fmt: skip
    panel.submits(tab.save, callbacks.save, [token, tab.kind])
    return tab, panel


def _left() -> dict[str, Any]:
    made: dict[str, Any] = {
        "photo": photo_drop("Photo", "edit-photo", 460),
        "compare": gr.ImageSlider(
            label="Before and after", visible=False, interactive=False, format="jpeg", buttons=["fullscreen"],
            elem_id="edit-compare", slider_position=4, max_height=560,
        ),
    }  # fmt: skip
    with gr.Row():
        for name, label, width in BUTTONS:
            made[name] = gr.Button(
                label, elem_id=f"edit-{name}", size="md", min_width=width, interactive=name == "reset"
            )
        made["another"] = gr.Button("Another photo", elem_id="edit-another", visible=False, size="md", min_width=130)
    made["face"] = gr.Radio([], label="Face", visible=False, elem_id="edit-face")
    made["picker"] = face_picker("edit-picker", 200)
    with gr.Row(elem_classes="saving"):
        made["kind"] = gr.Radio(
            list(PICTURES), value="png", label="Format", show_label=False, elem_id="edit-kind", container=False,
            min_width=180,
        )  # fmt: skip
        made["save"] = gr.Button("Save at full resolution", elem_id="edit-save", variant="primary", min_width=200)
    made["command"] = command_box("edit-command", "nothing changed yet")
    made["turn"] = gr.Number(0, visible="hidden")
    return made


def _sliders() -> list[gr.Slider]:
    made = []
    for group in GROUPS:
        with gr.Accordion(group, elem_classes="sliders"):
            made += [
                gr.Slider(
                    each.low, each.high, 0.0, step=each.step, label=each.title,
                    elem_id=f"edit-{each.name}", elem_classes="two-sided" if each.low < 0 else None,
                )
                for each in SLIDERS
                if each.group == group
            ]  # fmt: skip
    return made


@dataclass(frozen=True)
class Callbacks:
    """The callbacks of the controls: they take the token of a session and return what is to be shown."""

    desk: Desk
    tab: EditTab
    token: gr.BrowserState

    def session(self, token: str) -> Session:
        """The session of a token; UsageError before there is a photo."""
        session = self.desk.sessions.get(token)
        if session is None:
            raise UsageError(NO_PHOTO)
        return session

    def _keep(self, token: str, session: Session) -> dict[Any, Any]:
        """Keep a session in which something else than a slider's move changed, and show it."""
        session = replace(session, turn=session.turn + 1)
        shown = self.tab.shown(session)
        self.desk.sessions.put(token, session)
        return shown

    @explained
    def open(self, token: str, path: str) -> dict[Any, Any]:
        """A photo was dropped."""
        path = self.desk.shared.uploaded(path, "photo")
        held = token or new_token()  # the page may still be loading
        opened = Session(Edited(Subject.read(path)))
        with self.desk.changing:
            before = self.desk.sessions.get(held)
            return {self.token: held, **self._keep(held, replace(opened, turn=before.turn if before else 0))}

    @explained
    def step(self, step: Any, token: str) -> dict[Any, Any]:
        """Undo, redo, or apply."""
        with self.desk.changing:
            return self._keep(token, step(self.session(token)))

    @explained
    def preset(self, changes: dict[str, float], token: str) -> dict[Any, Any]:
        """All sliders are set at once."""
        return self.step(partial(engine.changed, changes=changes), token)

    @explained
    def move(self, token: str, turn: float, *values: float) -> dict[Any, Any]:
        """A slider moved, on a page that showed the sliders of that turn.

        A page reports a typed value once more when the box is left. If it is left for the button that undoes, the
        report may come after the undoing, and must not set the value again.
        """
        changes = changes_of(dict(zip((slider.key for slider in SLIDERS), values, strict=True)))
        with self.desk.changing:
            session = self.session(token)
            if turn != session.turn:
                return self.tab.shown(session)
            session = engine.changed(session, changes)
            moved = self.tab.moved(session)
            self.desk.sessions.put(token, session)
        return moved

    @explained
    def choose(self, token: str, number: int) -> dict[Any, Any]:
        """A face was chosen by its number."""
        return self.step(partial(engine.chosen, number=number), token)

    @explained
    def pick(self, token: str, event: gr.SelectData) -> dict[Any, Any]:
        """A face was clicked at."""
        subject = self.session(token).present.subject
        place: Sequence[float] = np.divide(event.index, frame_faces(subject, [])[1]).tolist()
        return self.choose(token, subject.face_at(*place))

    def prepare(self, token: str) -> dict[Any, Any]:
        """Show the effect of each preset on its button; this also fits the head before the first slider moves."""
        session = self.desk.sessions.get(token)
        if session is None:
            return {each: gr.skip() for each in self.tab.presets}
        subject = session.present.subject
        faces = [subject.thumbnail(changes, THUMBNAIL) for changes in PRESETS.values()]
        return {
            button: gr.update(icon=self.desk.shared.picture(face))
            for button, face in zip(self.tab.presets, faces, strict=True)
        }

    def restore(self, token: str) -> dict[Any, Any]:
        """The page was loaded."""
        session = self.desk.sessions.get(token)
        return self.tab.blank() if session is None else self.tab.shown(session)

    def save(self, token: str, kind: str) -> Any:
        """The work of saving what the session shows."""
        return self.desk.workshop.save(self.session(token).present, kind)
