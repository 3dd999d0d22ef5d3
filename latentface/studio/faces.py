"""The choice of a face: if a photo or a clip shows several, they are numbered, to be clicked or named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentface.arrays import Pixels
from latentface.io.colour import srgb
from latentface.studio.desk import Desk, explained
from latentface.studio.session import Subject

SIDE = 480  # pixels: longer side of the picture on which a face is picked
CHOSEN, OTHER = (255, 140, 0), (255, 255, 255)


def frame_faces(subject: Subject, chosen: Sequence[int]) -> tuple[Pixels, float]:
    """The photo, small, with a numbered frame around each face, those of `chosen` in a colour; and its scale."""
    rgb = srgb(subject.photo).rgb
    scale = min(1.0, SIDE / max(rgb.shape[:2]))
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for number, face in enumerate(subject.faces, 1):
        colour = CHOSEN if number in chosen else OTHER
        corners = [tuple(corner) for corner in (face.quad * scale).tolist()]
        pen.line([*corners, corners[0]], fill=colour, width=3)
        left, top = np.clip(np.min(corners, axis=0), 0, None)
        pen.rectangle((left, top, left + 20, top + 22), fill=colour)
        pen.text((left + 5, top + 1), str(number), fill=(0, 0, 0), font=font)
    return np.asarray(picture), scale


def face_picker(name: str, height: int = 220) -> gr.Image:
    """The picture that is clicked at, hidden until there are several faces."""
    return gr.Image(
        label="Click a face", visible=False, interactive=False, height=height, buttons=[], elem_id=name,
        elem_classes="picker",
    )  # fmt: skip


def face_choice(desk: Desk, source: gr.Image | gr.Video, name: str, *, everybody: bool = False) -> gr.Number:
    """The choice of a face in the file dropped on `source`: a number from 1, or 0 for the default of the verb.

    everybody: whether that default is all faces instead of the largest.
    """
    number = gr.Number(
        0, label="Face", info=f"0 for {'all of them' if everybody else 'the largest'}", precision=0, minimum=0,
        visible=False, elem_id=name, min_width=120,
    )  # fmt: skip
    picker, clip = face_picker(f"{name}-picker"), isinstance(source, gr.Video)

    def see(path: str, chosen: float) -> Subject:
        return desk.subject(desk.shared.uploaded(path, "file"), chosen, clip=clip)

    def framed(path: str, chosen: float) -> Pixels:
        subject = see(path, chosen)
        faces = range(1, len(subject.faces) + 1) if everybody and not chosen else [subject.number]
        return frame_faces(subject, faces)[0]

    @explained
    def found(path: str | None, chosen: float) -> dict[Any, Any]:
        count = len(see(path, 0).faces) if path else 0
        there, several = chosen <= count, count > 1
        picture = framed(path, chosen if there else 0) if path and several else None
        # a number that is there is not set again: a click may have changed it meanwhile
        shown = gr.update(visible=several) if there else gr.update(value=0, visible=several)
        return {number: shown, picker: gr.update(value=picture, visible=several)}

    @explained
    def clicked(path: str, event: gr.SelectData) -> int:
        subject = see(path, 0)
        place: Sequence[float] = np.divide(event.index, frame_faces(subject, [])[1]).tolist()
        return subject.face_at(*place)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    source.change(found, [source, number], [number, picker], **quiet)
    number.change(found, [source, number], [number, picker], **quiet)
    picker.select(clicked, [source], number, **quiet)
    return number
