"""A tab whose work goes into the queue, with its inputs on the left and the job and its results on the right."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from latentface.arrays import Pixels
from latentface.head.control_names import PART_NAMES
from latentface.studio.commands import command
from latentface.studio.desk import Desk, explained, file_address
from latentface.studio.job_panel import JobPanel, add_job_panel
from latentface.studio.jobs import Work
from latentface.studio.work import CLIPS

Controls = dict[str, Any]  # components by the name of their value
DROPPED = (gr.Image, gr.Video, gr.File)


@dataclass(frozen=True)
class Tool:
    """What makes one tab different from the others.

    Attributes:
        title: of the tab and of its jobs.
        about: what it does, in a sentence.
        verb: on its button.
        lay_out: creates the controls, and returns those whose values are used, by name.
        work: creates the work from a workshop and the values by name; dropped files have been checked.
        words: the equivalent command for the same values, with files by name; None if there is none.
        preview: small pictures with captions for the same values; None for a verb without a preview.
    """

    title: str
    about: str
    verb: str
    lay_out: Callable[[Desk], Controls]
    work: Callable[..., Work]
    words: Callable[..., Sequence[str]] | None = None
    preview: Callable[..., list[tuple[Pixels, str]]] | None = None

    @property
    def name(self) -> str:
        """The prefix of the ids of its elements."""
        return self.title.lower()


@dataclass(frozen=True)
class ToolTab:
    """A tab that was laid out: its controls, and where its job is shown."""

    desk: Desk
    tool: Tool
    controls: Controls
    panel: JobPanel
    command: gr.Textbox

    @property
    def outputs(self) -> list[Any]:
        """What `restore` fills."""
        return [*self.controls.values(), *self.panel.outputs]

    def restore(self, token: str) -> dict[Any, Any]:
        """Restore the tab as the user left it: the entered values, and the current state of the job."""
        values = self.desk.forms.get(self._key(token)) or {}
        entered = {
            control: gr.update(value=values[name])
            for name, control in self.controls.items()
            if name in values and (not isinstance(control, DROPPED) or (values[name] and Path(values[name]).exists()))
        }
        return entered | self.panel.look(token)

    def work(self, *values: Any) -> Work:
        """The work for the controls' values."""
        return self.tool.work(self.desk.workshop, **self._named(values, self._uploaded))

    def keep(self, token: str, *values: Any) -> str:
        """Remember the entered values, and return the equivalent command."""
        self.desk.forms.put(self._key(token), dict(zip(self.controls, values, strict=True)))
        each, words = zip(values, self.controls.values(), strict=True), self.tool.words
        if words is None or not all(value for value, control in each if isinstance(control, DROPPED)):
            return ""
        named = words(**self._named(values, lambda path, control: Path(path).name))
        return command(*named) if named else ""

    @explained
    def preview(self, *values: Any) -> Any:
        """The strip of small pictures."""
        made = self.tool.preview
        pictures = made(self.desk, **self._named(values, self._uploaded)) if made else []
        strip = film_strip([(self.desk.shared.picture(pixels), caption) for pixels, caption in pictures])
        return gr.update(value=strip, visible=bool(strip))

    def _named(self, values: Sequence[Any], file: Callable[[Any, Any], str]) -> Mapping[str, Any]:
        each = zip(self.controls.items(), values, strict=True)
        return {name: file(value, made) if isinstance(made, DROPPED) else value for (name, made), value in each}

    def _uploaded(self, path: Any, control: Any) -> str:
        return self.desk.shared.uploaded(path, control.label.lower())

    def _key(self, token: str) -> str:
        return f"{token} {self.tool.name}"


def build_tool(desk: Desk, token: gr.BrowserState, tool: Tool) -> ToolTab:
    """Lay a tab out and tie its callbacks."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            gr.HTML(f"<p>{tool.about}</p>", elem_classes="about", padding=False)
            controls = tool.lay_out(desk)
            with gr.Row():
                look = gr.Button("Preview", visible=tool.preview is not None, elem_id=f"{tool.name}-preview")
                button = gr.Button(tool.verb, variant="primary", elem_id=f"{tool.name}-go")
        with gr.Column(scale=5, min_width=320, elem_classes="stage"):
            strip = gr.HTML(elem_id=f"{tool.name}-strip", padding=False, visible=False)
            panel = add_job_panel(desk, token, tool.title, "What you make appears here.")
            box = command_box(f"{tool.name}-command", "drop something first", visible=tool.words is not None)
    tab, inputs = ToolTab(desk, tool, controls, panel, box), list(controls.values())
    panel.submits(button, tab.work, inputs)
    look.click(tab.preview, inputs, strip, api_visibility="private")
    gr.on(
        [each.change for each in inputs], tab.keep, [token, *inputs], box,
        show_progress="hidden", queue=False, trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip
    return tab


def film_strip(pictures: Sequence[tuple[str, str]]) -> str:
    """Small pictures beside each other: files of the shared folder, with captions."""
    figures = (
        f'<figure><img src="{file_address(path)}" alt=""><figcaption>{html.escape(caption)}</figcaption></figure>'
        for path, caption in pictures
    )
    return f'<div class="strip">{"".join(figures)}</div>' if pictures else ""


def photo_drop(label: str, name: str, height: int = 260) -> gr.Image:
    """A drop zone for a photo; its value is the path of the file."""
    return gr.Image(
        label=label, type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"], height=height,
        elem_id=name, placeholder="Drop a photo here\nor click to choose one", buttons=[],
    )  # fmt: skip


def clip_drop(label: str, name: str) -> gr.Video:
    """A drop zone for a clip, or a recording by the camera; its value is the path of the file."""
    return gr.Video(label=label, sources=["upload", "webcam"], height=260, elem_id=name, buttons=[])


def parts_choice(name: str) -> gr.CheckboxGroup:
    """Which parts of the face change."""
    return gr.CheckboxGroup(list(PART_NAMES), label="Only these parts (none: all)", elem_id=name)


def clip_kind(name: str) -> gr.Radio:
    """The format of a clip that is written."""
    return gr.Radio(list(CLIPS), value=CLIPS[0], label="Format", elem_id=name)


def command_box(name: str, empty: str, *, visible: bool = True) -> gr.Textbox:
    """The box with the equivalent command."""
    return gr.Textbox(
        label="The same on the command line", interactive=False, lines=1, max_lines=6, buttons=["copy"],
        elem_id=name, elem_classes="command", placeholder=empty, visible=visible,
    )  # fmt: skip


def numbered(face: float | None) -> int | None:
    """A face's number, None for 0."""
    return int(face) if face else None


def flagged(**values: Any) -> list[str]:
    """The options of a command for values: `--face 2`, and nothing for 0, an empty list or False."""
    words: list[str] = []
    for name, value in values.items():
        if not value:
            continue
        text = ",".join(value) if isinstance(value, list) else value if isinstance(value, str) else f"{value:g}"
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    return words
