"""The tab that draws the face of a photo in the style of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from latentface.options.styles import StyleOptions, StyliseOptions
from latentface.studio.desk import Desk
from latentface.studio.faces import face_choice
from latentface.studio.jobs import Work
from latentface.studio.tool import Controls, Tool, flagged, numbered, photo_drop
from latentface.studio.work import Workshop

PLACES = {
    "The face and its surroundings": "crop",
    "The photo, only the face styled": "face",
    "The whole photo": "photo",
}


def _lay_out(desk: Desk) -> Controls:
    with gr.Row():
        with gr.Column(min_width=200):
            photo = photo_drop("Photo", "style-photo")
            face = face_choice(desk, photo, "style-face")
        with gr.Column(min_width=200):
            style = gr.File(
                label="Style picture, or style file", file_types=["image", ".safetensors"], elem_id="style-style",
                height=160,
            )  # fmt: skip
            gr.HTML("<p>A picture takes some minutes to learn, once; its style file then takes seconds.</p>")
    strength = gr.Slider(0, 2, StyliseOptions.strength, step=0.05, label="Strength", elem_id="style-strength")
    colour = gr.Checkbox(label="Keep the photo's colours", elem_id="style-preserve-colour")
    place = gr.Radio(list(PLACES.items()), value="crop", label="What is shown", elem_id="style-place")
    return {
        "photo": photo, "style": style, "strength": strength, "preserve_colour": colour, "place": place, "face": face,
    }  # fmt: skip


def _stylise(
    shop: Workshop, photo: str, style: str, strength: float, preserve_colour: bool, place: str, face: float
) -> Work:
    options = StyliseOptions(strength=strength, preserve_colour=preserve_colour, place=place, seed=shop.seed)
    return shop.stylise(photo, style, options, StyleOptions(seed=shop.seed), numbered(face))


def _words(photo: str, style: str, strength: float, place: str, **rest: Any) -> list[str]:
    output = f"{Path(photo).stem}.stylise.png"
    return [
        "stylise", photo, "--style", style, "--strength", f"{strength:g}", "--place", place, *flagged(**rest), "-o",
        output,
    ]  # fmt: skip


STYLE = Tool(
    "Style", "Draws the face in a photo in the style of a drawn or painted face.", "Draw it in this style", _lay_out,
    _stylise, _words,
)  # fmt: skip
