"""The tab where the face in a clip is edited: who, what, from when to when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from latentface.arrays import Pixels
from latentface.errors import LatentfaceError, UsageError
from latentface.io.video import read_clip
from latentface.options.clips import ClipOptions
from latentface.studio.blocks import keyframes_of, parse_changes
from latentface.studio.desk import Desk
from latentface.studio.faces import face_choice
from latentface.studio.jobs import Work
from latentface.studio.sliders import SLIDERS
from latentface.studio.timeline import block_table, show_line, tracks_of_changes
from latentface.studio.tool import Controls, Tool, clip_drop, clip_kind, flagged, numbered
from latentface.studio.work import Workshop

Rows = list[list[Any]]
BEGINNING: Rows = [["Happiness", 1.5, 0.0, 0.0]]
MODES = {"Speech and blinks go on under it": "relative", "It holds still": "absolute"}
LONGEST_FADE = 2.0  # seconds


def _lay_out(desk: Desk) -> Controls:
    clip = clip_drop("Clip", "clips-clip")
    face = face_choice(desk, clip, "clips-face")
    with gr.Row():
        what = gr.Dropdown([each.title for each in SLIDERS], value="Happiness", label="What changes", min_width=150)
        value = gr.Number(1.5, label="By how much", min_width=90, step=0.1)
        start = gr.Number(0, label="From second", minimum=0, step=0.5, min_width=90)
        end = gr.Number(0, label="To (0: the end)", minimum=0, step=0.5, min_width=90)
    headers = ("What", "By", "From", "To")
    table = block_table("clips", "Changes", headers, [what, value, start, end], BEGINNING)

    def tracks(rows: Rows, path: str | None) -> str:
        return tracks_of_changes(rows, clip_seconds(desk.shared.uploaded(path, "clip")) if path else 0.0)

    show_line(tracks, {table: BEGINNING, clip: None}, "clips-line")
    with gr.Accordion("How it moves, and the file", open=False):
        fade = gr.Slider(0.1, LONGEST_FADE, 0.4, step=0.1, label="Ease in and out (s)", elem_id="clips-fade")
        mode = gr.Radio(list(MODES.items()), value="relative", label="What the person does", elem_id="clips-mode")
        kind = clip_kind("clips-kind")
    return {"clip": clip, "rows": table, "fade": fade, "mode": mode, "face": face, "kind": kind}


def clip_seconds(path: str) -> float:
    """How long a clip lasts, 0 where that is not known beforehand."""
    try:
        clip = read_clip(path)
    except LatentfaceError:  # told when its face is looked for
        return 0.0
    return round(float((clip.count or 0) / clip.rate), 2)


def _work(shop: Workshop, clip: str, rows: Rows, fade: float, mode: str, face: float, kind: str) -> Work:
    keyframes = keyframes_of(parse_changes(rows), fade)
    return shop.edit_clip(clip, keyframes, ClipOptions(mode=mode), numbered(face), kind=kind)


def _words(clip: str, rows: Rows, fade: float, mode: str, face: float, kind: str) -> list[str]:
    try:
        keyframes = keyframes_of(parse_changes(rows), fade)
    except UsageError:
        return []
    words = [word for name, value in keyframes.constant.items() for word in ("--set", f"{name}={value:g}")]
    for name, keys in keyframes.keys.items():
        words += [word for seconds, value in keys for word in ("--at", f"{seconds:g}", f"{name}={value:g}")]
    changed = flagged(mode="" if mode == "relative" else mode, face=face)
    return ["edit", clip, *words, *changed, "-o", f"{Path(clip).stem}.edit.{kind}"]


def preview_changes(desk: Desk, clip: str, rows: Rows, face: float, **rest: Any) -> list[tuple[Pixels, str]]:
    """The first frame that shows a face, once for each change, with its caption."""
    subject = desk.subject(clip, face, clip=True)
    return [
        (subject.preview({each.slider.key: each.value}), f"{each.slider.title} {each.value:g}")
        for each in parse_changes(rows)
    ]


CLIPS = Tool(
    "Clips", "Changes the face in a clip, all along or from one time to another; sound and timing stay.",
    "Edit the clip", _lay_out, _work, _words, preview_changes,
)  # fmt: skip
