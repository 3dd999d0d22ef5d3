"""The tab that says where a picture or a clip comes from."""

from __future__ import annotations

import html
from pathlib import Path

import gradio as gr

from latentface.errors import InputError
from latentface.provenance.verify import Verification, verify
from latentface.studio.desk import Desk, explained

ABOUT = (
    "Checks Content Credentials, looks for the invisible mark of latentface in every face, and reads the metadata of a "
    "picture or a clip, whichever program made it. It stays on this machine."
)


def build_verify(desk: Desk) -> None:
    """Lay the tab out and tie its callback."""

    @explained
    def check(path: str | None) -> str:
        if path is None:
            return ""
        try:
            return tell(verify(desk.shared.uploaded(path, "file")))
        except InputError as error:  # which names a folder that nobody knows
            raise InputError(str(error).replace(f"{Path(path).parent}/", "")) from error

    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            gr.HTML(f"<p>{ABOUT}</p>", elem_classes="about", padding=False)
            file = gr.File(label="Picture or clip", type="filepath", elem_id="verify-file")
        with gr.Column(scale=5, min_width=320, elem_classes="stage"):
            found = gr.HTML(elem_id="verify-found", padding=False)
    file.change(check, file, found, api_visibility="private")


def tell(found: Verification) -> str:
    """The findings as HTML: the conclusion first, then a paragraph for each finding."""
    *findings, conclusion = found.meaning
    parts = (html.escape(line).partition(":") for line in findings)
    lines = "".join(f"<p><b>{what}:</b>{told}</p>" for what, _, told in parts)
    return f"<h3>{html.escape(conclusion)}</h3>{lines}"
