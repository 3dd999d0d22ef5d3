"""The tab where a photo's face goes through emotions on a line of time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from latentface.arrays import Pixels
from latentface.directions.meaning import EMOTION_UNIT
from latentface.emotion import Emotion
from latentface.errors import UsageError
from latentface.head.control_names import NEUTRALISE
from latentface.options.clips import BLINKS, SWAY, SequenceOptions, VideoOptions
from latentface.studio.blocks import parse_blocks
from latentface.studio.desk import Desk
from latentface.studio.faces import face_choice
from latentface.studio.jobs import Work
from latentface.studio.timeline import block_table, line_of_emotions, show_line
from latentface.studio.tool import Controls, Tool, clip_kind, flagged, numbered, parts_choice, photo_drop
from latentface.studio.work import Workshop

Rows = list[list[Any]]
BEGINNING: Rows = [["neutral", 1.0, 1.0], ["happiness", 2.0, 1.0], ["surprise", 1.5, 1.0], ["neutral", 1.0, 1.0]]
MOST_SHOWN = 12  # blocks of a preview


def _lay_out(desk: Desk) -> Controls:
    photo = photo_drop("Photo", "video-photo")
    face = face_choice(desk, photo, "video-face")
    with gr.Row():
        emotion = gr.Dropdown([each.value for each in Emotion], value="happiness", label="Emotion", min_width=150)
        seconds = gr.Number(1.5, label="Seconds", minimum=0.1, maximum=60, step=0.5, min_width=90)
        strength = gr.Number(1.0, label="Strength", minimum=0, maximum=2, step=0.1, min_width=90)
    headers = ("Emotion", "Seconds", "Strength")
    table = block_table("video", "Line of time", headers, [emotion, seconds, strength], BEGINNING)
    show_line(line_of_emotions, {table: BEGINNING}, "video-line")
    with gr.Accordion("How it moves, and the file", open=False):
        with gr.Row():
            blinks = gr.Slider(0, 30, BLINKS, step=1, label="Blinks a minute", min_width=200)
            sway = gr.Slider(0, 8, SWAY, step=0.5, label="Sway (°)", min_width=200)
        only = parts_choice("video-only")
        with gr.Row():
            fps = gr.Dropdown(["12", "25", "30", "50"], value="25", label="Frames a second", min_width=110)
            kind = clip_kind("video-kind")
            loop = gr.Checkbox(label="Loop", min_width=80)
    return {
        "photo": photo, "rows": table, "fps": fps, "blinks": blinks, "sway": sway, "loop": loop, "only": only,
        "face": face, "kind": kind,
    }  # fmt: skip


def _work(
    shop: Workshop, photo: str, rows: Rows, fps: str, blinks: float, sway: float, loop: bool, only: list[str],
    face: float, kind: str,
) -> Work:  # fmt: skip
    options, drawing = SequenceOptions(blinks=blinks, sway=sway, loop=loop), VideoOptions(fps=fps, only=",".join(only))
    return shop.video(photo, parse_blocks(rows), options, drawing, numbered(face), kind=kind)


def _words(photo: str, rows: Rows, kind: str, **rest: Any) -> list[str]:
    """Blocks of unlike length need a file of the sequence, which lies among the results."""
    try:
        segments = parse_blocks(rows).segments
    except UsageError:
        return []
    if len({each.duration for each in segments}) == 1:
        emotions = ",".join(f"{each.emotion.value}={each.strength:g}" for each in segments)
        words = ["--emotions", emotions, "--seconds", f"{sum(each.duration for each in segments):g}"]
    else:
        words = ["--sequence", f"{Path(photo).stem}.emotions.json"]
    return ["video", photo, *words, *flagged(**rest), "-o", f"{Path(photo).stem}.video.{kind}"]


def preview_blocks(desk: Desk, photo: str, rows: Rows, face: float, **rest: Any) -> list[tuple[Pixels, str]]:
    """A small picture of each block, with its caption."""
    subject, shown = desk.subject(photo, face), []
    for each in parse_blocks(rows).segments[:MOST_SHOWN]:
        rests = each.emotion is Emotion.NEUTRAL
        changes = {NEUTRALISE: 1.0} if rests else {each.emotion.value: each.strength / EMOTION_UNIT}
        shown.append((subject.preview(changes), f"{each.emotion.value} {each.strength:g}"))
    return shown


VIDEO = Tool(
    "Video", "Lets the face in a photo go through emotions, one after the other.", "Render the clip", _lay_out, _work,
    _words, preview_blocks,
)  # fmt: skip
