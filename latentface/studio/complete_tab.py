"""The tab that completes faces: the user paints over what is to be replaced."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from latentface.arrays import BoolArray
from latentface.errors import InputError
from latentface.options.photos import OCCLUDERS
from latentface.studio.desk import Desk
from latentface.studio.jobs import Work
from latentface.studio.tool import Controls, Tool, flagged
from latentface.studio.work import Workshop

PAINTED, PASTED = "what is painted over", "fit in what is painted over"
OPAQUE = 16  # of 255: fainter strokes do not count
PHOTO, MASK = "photo.png", "mask.png"  # the editor does not say what the photo was called


def _lay_out(desk: Desk) -> Controls:
    photo = gr.ImageEditor(
        label="Photo, with a brush", type="filepath", image_mode="RGBA", sources=["upload", "clipboard"], height=420,
        brush=gr.Brush(default_size=24, colors=["#ff3b30"], color_mode="fixed"), layers=False, transforms=(),
        buttons=[], elem_id="complete-photo",
    )  # fmt: skip
    remove = gr.Radio([PAINTED, *OCCLUDERS, PASTED], value=PAINTED, label="Complete", elem_id="complete-what")
    search = gr.Checkbox(False, label="Search (a minute or more)", elem_id="complete-search")
    return {"photo": photo, "remove": remove, "search": search}


def painted(value: dict[str, Any] | None) -> tuple[str, BoolArray]:
    """The photo's file and the painted mask, bool [H, W], from the value of an image editor.

    Raises:
        InputError: there is no photo yet.
    """
    if not value or not value.get("background"):
        raise InputError("there is no photo yet; drop or upload one first")
    photo = str(value["background"])
    with Image.open(photo) as picture:
        size = picture.size
    hole = np.zeros((size[1], size[0]), bool)
    for path in value.get("layers") or ():
        with Image.open(path) as layer:
            alpha = layer.convert("RGBA").getchannel("A").resize(size)
        hole |= np.asarray(alpha) > OPAQUE
    return photo, hole


def _work(shop: Workshop, photo: dict[str, Any] | None, remove: str, search: bool) -> Work:
    path, hole = painted(photo)
    if remove in OCCLUDERS:
        return shop.complete(path, remove=remove, search=search, name=PHOTO)
    return shop.complete(path, hole, search=search, harmonise=remove == PASTED, name=PHOTO)


def _words(photo: dict[str, Any] | None, remove: str, search: bool) -> list[str]:
    if not photo or not photo.get("background"):
        return []
    how = ["--remove", remove] if remove in OCCLUDERS else ["--mask", MASK, *flagged(harmonise=remove == PASTED)]
    return ["complete", PHOTO, *how, *flagged(method="optimise" if search and remove != PASTED else "")]


COMPLETE = Tool(
    "Complete", "Paints over what you brush out of a face, or takes off glasses or a hand.", "Complete the face",
    _lay_out, _work, _words,
)  # fmt: skip
