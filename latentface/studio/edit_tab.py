"""The tab where a photo's face is edited: sliders, presets, before and after, undo, save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentface.arrays import Pixels
from latentface.errors import UsageError
from latentface.io.colour import srgb
from latentface.studio import session as engine
from latentface.studio.commands import edit_commands
from latentface.studio.desk import Desk, Shared, explained, new_token
from latentface.studio.job_panel import JobPanel, add_job_panel
from latentface.studio.results import PICTURES
from latentface.studio.session import Edited, Session, Subject
from latentface.studio.sliders import GROUPS, PRESETS, SLIDERS, changes_of

OPEN = ("Emotions", "Mouth", "Expression")  # groups that are unfolded at first
PICKER = 480  # pixels: longer side of the picture on which a face is picked
NO_PHOTO = "drop a photo first"


@dataclass(frozen=True)
class EditTab:
    """The components that callbacks fill."""

    photo: gr.Image
    another: gr.Button
    compare: gr.ImageSlider
    picker: gr.Image
    face: gr.Radio
    sliders: list[gr.Slider]
    undo: gr.Button
    redo: gr.Button
    reset: gr.Button
    apply: gr.Button
    kind: gr.Radio
    save: gr.Button
    command: gr.Textbox
    shared: Shared

    def blank(self) -> dict[Any, Any]:
        """The tab before there is a photo."""
        hidden = {each: gr.update(visible=False) for each in (self.compare, self.another, self.picker, self.face)}
        return {self.photo: gr.update(value=None, visible=True), **hidden}

    def pair(self, edited: Edited) -> tuple[str, str]:
        """The files of the pictures before and after."""
        return self.shared.picture(edited.subject.window.pixels), self.shared.picture(edited.preview)

    def moved(self, session: Session) -> dict[Any, Any]:
        """What changes while a slider moves."""
        now = session.present
        return {
            self.compare: self.pair(now),
            self.undo: gr.update(interactive=bool(session.past)),
            self.redo: gr.update(interactive=bool(session.future)),
            self.apply: gr.update(interactive=bool(now.changes)),
            self.command: edit_commands(now),
        }

    def shown(self, session: Session) -> dict[Any, Any]:
        """The whole tab as the session has it."""
        subject, changes = session.present.subject, session.present.changes
        several = len(subject.faces) > 1
        values = {each: changes.get(slider.key, 0.0) for each, slider in zip(self.sliders, SLIDERS, strict=True)}
        rest: dict[Any, Any] = {
            self.photo: gr.update(value=None, visible=False),
            self.compare: gr.update(visible=True, value=self.pair(session.present)),
            self.another: gr.update(visible=True),
            self.picker: gr.update(visible=several, value=draw_faces(subject)[0] if several else None),
            self.face: gr.update(
                visible=several, choices=[(f"Face {k + 1}", k + 1) for k in range(len(subject.faces))],
                value=subject.number,
            ),
            **values,
        }  # fmt: skip
        return self.moved(session) | rest

    @property
    def outputs(self) -> list[Any]:
        """All that `shown` and `blank` fill."""
        filled = [self.photo, self.another, self.compare, self.picker, self.face, *self.sliders]
        return [*filled, self.undo, self.redo, self.apply, self.command]


def draw_faces(subject: Subject) -> tuple[Pixels, float]:
    """The photo, small, with a numbered frame around each face, and its scale."""
    rgb = srgb(subject.photo).rgb
    scale = min(1.0, PICKER / max(rgb.shape[:2]))
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for number, face in enumerate(subject.faces, 1):
        colour = (255, 140, 0) if number == subject.number else (255, 255, 255)
        corners = [tuple(corner) for corner in (face.quad * scale).tolist()]
        pen.line([*corners, corners[0]], fill=colour, width=3)
        left, top = np.clip(np.min(corners, axis=0), 0, None)
        pen.rectangle((left, top, left + 20, top + 22), fill=colour)
        pen.text((left + 5, top + 1), str(number), fill=(0, 0, 0), font=font)
    return np.asarray(picture), scale


def build_edit(desk: Desk, token: gr.BrowserState) -> tuple[EditTab, JobPanel]:
    """Lay the tab out and tie its callbacks."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            left = _left()
            panel = add_job_panel(desk, token, "Edit")
        with gr.Column(scale=2, min_width=320):
            presets = _presets()
            sliders = _sliders()
    tab = EditTab(**left, sliders=sliders, shared=desk.shared)
    callbacks = Callbacks(desk, tab, token)
    loaded: dict[str, Any] = {"outputs": tab.outputs, "api_visibility": "private"}
    loaded["show_progress_on"] = [tab.photo, tab.compare]
    opened = {**loaded, "outputs": [token, *tab.outputs]}
    tab.photo.upload(callbacks.open, [token, tab.photo], **opened).then(
        callbacks.prepare, [token], None, show_progress="hidden", api_visibility="private"
    )
    tab.another.click(tab.blank, None, **loaded)
    tab.picker.select(callbacks.pick, [token], **loaded)
    tab.face.input(callbacks.choose, [token, tab.face], **loaded)
    for button, step in ((tab.undo, Session.undo), (tab.redo, Session.redo), (tab.apply, engine.applied)):
        button.click(partial(callbacks.step, step), [token], **loaded)
    for button, changes in presets:
        button.click(partial(callbacks.preset, changes), [token], **loaded)
    tab.reset.click(partial(callbacks.preset, {}), [token], **loaded)
    gr.on(
        [event for slider in sliders for event in (slider.input, slider.release)], callbacks.move, [token, *sliders],
        [tab.compare, tab.undo, tab.redo, tab.apply, tab.command],
        trigger_mode="always_last", show_progress="hidden", queue=False, api_visibility="private",
    )  # fmt: skip
    panel.submits(tab.save, callbacks.save, [token, tab.kind])
    return tab, panel


def _left() -> dict[str, Any]:
    made: dict[str, Any] = {
        "photo": gr.Image(
            label="Photo", type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"], height=420,
            elem_id="edit-photo", placeholder="Drop a photo here\nor click to choose one",
        ),
        "compare": gr.ImageSlider(
            label="Before and after", visible=False, interactive=False, format="jpeg", buttons=["fullscreen"],
            elem_id="edit-compare", slider_position=4, max_height=560,
        ),
    }  # fmt: skip
    with gr.Row():
        made["undo"] = gr.Button("Undo", elem_id="edit-undo", interactive=False, size="md", min_width=70)
        made["redo"] = gr.Button("Redo", elem_id="edit-redo", interactive=False, size="md", min_width=70)
        made["reset"] = gr.Button("Reset", elem_id="edit-reset", size="md", min_width=70)
        made["apply"] = gr.Button("Apply and go on", elem_id="edit-apply", interactive=False, size="md", min_width=150)
        made["another"] = gr.Button("Another photo", elem_id="edit-another", visible=False, size="md", min_width=140)
    made["face"] = gr.Radio([], label="Face", visible=False, elem_id="edit-face")
    made["picker"] = gr.Image(
        label="Click a face to edit it", visible=False, interactive=False, height=200, buttons=[], elem_id="edit-picker"
    )
    with gr.Row(equal_height=True):
        made["kind"] = gr.Radio(list(PICTURES), value="png", label="Format", elem_id="edit-kind", scale=1)
        made["save"] = gr.Button("Save at full resolution", elem_id="edit-save", variant="primary", scale=1)
    made["command"] = gr.Textbox(
        label="The same on the command line", interactive=False, lines=1, max_lines=6, buttons=["copy"],
        elem_id="edit-command", placeholder="nothing changed yet",
    )  # fmt: skip
    return made


def _presets() -> list[tuple[gr.Button, dict[str, float]]]:
    with gr.Group(), gr.Row(elem_classes="presets"):
        return [(gr.Button(name, size="sm", min_width=90), changes) for name, changes in PRESETS.items()]


def _sliders() -> list[gr.Slider]:
    made = []
    for group in GROUPS:
        with gr.Accordion(group, open=group in OPEN):
            made += [
                gr.Slider(
                    each.low, each.high, 0.0, step=each.step, label=each.title,
                    elem_id=f"edit-{each.name}",
                )
                for each in SLIDERS
                if each.group == group
            ]  # fmt: skip
    return made


@dataclass(frozen=True)
class Callbacks:
    """What the tab's controls do: a session comes in by its token, and what is to be shown goes out."""

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
        shown = self.tab.shown(session)
        self.desk.sessions.put(token, session)
        return shown

    @explained
    def open(self, token: str, path: str) -> dict[Any, Any]:
        """A photo was dropped."""
        path = self.desk.shared.uploaded(path, "photo")
        held = token or new_token()  # the page may still be loading
        return {self.token: held, **self._keep(held, Session(Edited(Subject.read(path))))}

    @explained
    def step(self, step: Any, token: str) -> dict[Any, Any]:
        """Undo, redo, or apply."""
        return self._keep(token, step(self.session(token)))

    @explained
    def preset(self, changes: dict[str, float], token: str) -> dict[Any, Any]:
        """All sliders are set at once."""
        return self._keep(token, engine.changed(self.session(token), changes))

    @explained
    def move(self, token: str, *values: float) -> dict[Any, Any]:
        """A slider moved."""
        changes = changes_of(dict(zip((slider.key for slider in SLIDERS), values, strict=True)))
        session = engine.changed(self.session(token), changes)
        moved = self.tab.moved(session)
        self.desk.sessions.put(token, session)
        return moved

    @explained
    def choose(self, token: str, number: int) -> dict[Any, Any]:
        """A face was chosen by its number."""
        return self._keep(token, engine.chosen(self.session(token), number))

    @explained
    def pick(self, token: str, event: gr.SelectData) -> dict[Any, Any]:
        """A face was clicked at."""
        session = self.session(token)
        subject = session.present.subject
        place: Sequence[float] = np.divide(event.index, draw_faces(subject)[1]).tolist()
        return self._keep(token, engine.chosen(session, subject.face_at(*place)))

    def prepare(self, token: str) -> None:
        """Find out now what the first move of a slider needs to know of the photo."""
        session = self.desk.sessions.get(token)
        if session is not None:
            session.present.subject.preview({"happiness": 1.0, "blink+": 0.1})

    def restore(self, token: str) -> dict[Any, Any]:
        """The page was loaded."""
        session = self.desk.sessions.get(token)
        return self.tab.blank() if session is None else self.tab.shown(session)

    def save(self, token: str, kind: str) -> Any:
        """The work of saving what the session shows."""
        return self.desk.workshop.save(self.session(token).present, kind)
