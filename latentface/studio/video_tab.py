"""The tab where emotions are laid on a line of time: a table of blocks, what they look like, and the clip."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from latentface.arrays import Pixels
from latentface.directions.meaning import EMOTION_UNIT
from latentface.emotion import Emotion, EmotionSequence
from latentface.errors import UsageError
from latentface.head.control_names import NEUTRALISE
from latentface.options import SequenceOptions, VideoOptions
from latentface.studio.commands import command
from latentface.studio.desk import Desk, explained
from latentface.studio.job_panel import JobPanel, add_job_panel
from latentface.studio.job_tabs import command_box, face_number, numbered, parts_choice, photo_drop, tell_command
from latentface.studio.jobs import Work
from latentface.studio.session import Subject
from latentface.studio.work import CLIPS, parse_blocks

BEGINNING = [["neutral", 1.0, 1.0], ["happiness", 2.0, 1.0], ["surprise", 1.5, 1.0], ["neutral", 1.0, 1.0]]
COLOURS = {
    "neutral": "#cbd5e1", "happiness": "#fde047", "sadness": "#93c5fd", "surprise": "#fdba74", "anger": "#fca5a5",
    "disgust": "#86efac", "fear": "#d8b4fe",
}  # fmt: skip
MOST_SHOWN = 12  # blocks of a preview


def line_of_time(rows: list[list[Any]]) -> str:
    """Blocks as coloured stretches, as wide as they are long; what is wrong with them, in words."""
    try:
        sequence = parse_blocks(rows)
    except UsageError as error:
        return f'<div class="job failed" role="alert">{html.escape(str(error))}</div>'
    blocks = "".join(
        f'<div style="flex:{each.duration:g};background:{COLOURS[each.emotion.value]}">{each.emotion.value} '
        f"{each.strength:g}<br>{each.duration:g} s</div>"
        for each in sequence.segments
    )
    return f'<div class="blocks" role="img" aria-label="line of time">{blocks}</div>{sequence.duration:g} seconds'


def preview_blocks(subject: Subject, sequence: EmotionSequence) -> list[tuple[Pixels, str]]:
    """A small picture of each block, with its caption."""
    shown = []
    for each in sequence.segments[:MOST_SHOWN]:
        rests = each.emotion is Emotion.NEUTRAL
        changes = {NEUTRALISE: 1.0} if rests else {each.emotion.value: each.strength / EMOTION_UNIT}
        shown.append((subject.preview(changes), f"{each.emotion.value} {each.strength:g}"))
    return shown


def build_video(desk: Desk, token: gr.BrowserState) -> JobPanel:
    """Lay the tab out and tie its callbacks."""
    with gr.Row():
        with gr.Column(min_width=280):
            photo = photo_drop("Photo", "video-photo")
            face = face_number("video-face")
        with gr.Column(scale=2, min_width=320):
            table = gr.Dataframe(
                BEGINNING, headers=["emotion", "seconds", "strength"], datatype=["str", "number", "number"],
                type="array", column_count=3, interactive=True, elem_id="video-table",
                label=f"Line of time: {', '.join(COLOURS)}; strength 0 to 2",
            )  # fmt: skip
            line = gr.HTML(line_of_time(BEGINNING), elem_id="video-line", padding=False)
            with gr.Row():
                fps = gr.Dropdown(["12", "25", "30", "50"], value="25", label="Frames a second", min_width=110)
                blinks = gr.Slider(0, 30, 0, step=1, label="Blinks a minute", min_width=140)
                sway = gr.Slider(0, 8, 0, step=0.5, label="Sway, degrees", min_width=140)
            with gr.Row():
                loop = gr.Checkbox(label="Loop", min_width=80)
                kind = gr.Radio(list(CLIPS), value=CLIPS[0], label="Format", elem_id="video-kind")
            only = parts_choice("video-only")
            with gr.Row():
                look = gr.Button("Preview", elem_id="video-preview")
                button = gr.Button("Render", variant="primary", elem_id="video-go")
    strip = gr.Gallery(
        label="Preview", visible=False, columns=6, height=260, elem_id="video-strip", format="jpeg", interactive=False
    )
    panel, box = add_job_panel(desk, token, "Video"), command_box("video-command")

    def work(
        path: str, rows: list[list[Any]], rate: str, often: float, far: float, again: bool, parts: list[str],
        number: float, ending: str,
    ) -> Work:  # fmt: skip
        options = SequenceOptions(blinks=often, sway=far, loop=again)
        drawing = VideoOptions(fps=rate, only=",".join(parts))
        sequence = parse_blocks(rows)
        return desk.workshop.video(
            desk.shared.uploaded(path, "photo"), sequence, options, drawing, numbered(number), kind=ending
        )

    @explained
    def show(path: str, rows: list[list[Any]], number: float) -> Any:
        subject = Subject.read(desk.shared.uploaded(path, "photo"), numbered(number))
        return gr.update(value=preview_blocks(subject, parse_blocks(rows)), visible=True)

    table.change(
        line_of_time, table, line, show_progress="hidden", queue=False, trigger_mode="always_last",
        api_visibility="private",
    )  # fmt: skip
    look.click(show, [photo, table, face], strip, api_visibility="private")
    inputs = [photo, table, fps, blinks, sway, loop, only, face, kind]
    panel.submits(button, work, inputs)
    tell_command(box, inputs, tell_line)
    return panel


def tell_line(
    path: str, rows: list[list[Any]], rate: str, often: float, far: float, again: bool, parts: list[str], number: float,
    ending: str,
) -> str:  # fmt: skip
    """The command that renders the same clip; blocks of unlike length need a file of the sequence."""
    try:
        segments = parse_blocks(rows).segments
    except UsageError:
        return ""
    if not path:
        return ""
    emotions = ",".join(f"{each.emotion.value}={each.strength:g}" for each in segments)
    words = ["video", Path(path).name]
    if len({each.duration for each in segments}) == 1:
        words += ["--emotions", emotions, "--seconds", f"{sum(each.duration for each in segments):g}"]
    else:
        words += ["--sequence", f"{Path(path).stem}.emotions.json"]
    words += ["--fps", rate]
    for name, value in (("--blinks", often), ("--sway", far), ("--face", number)):
        words += [name, f"{value:g}"] if value else []
    words += ["--loop"] if again else []
    words += ["--only", ",".join(parts)] if parts else []
    return command(*words, "-o", f"{Path(path).stem}.video.{ending}")
