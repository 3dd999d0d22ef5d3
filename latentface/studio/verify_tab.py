"""The tab that says where a picture or a clip comes from."""

from __future__ import annotations

import html

import gradio as gr

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
        return "" if path is None else tell(verify(desk.shared.uploaded(path, "file")))

    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            gr.HTML(f"<p>{ABOUT}</p>", elem_classes="about", padding=False)
            file = gr.File(label="Picture or clip", type="filepath", elem_id="verify-file")
        with gr.Column(scale=5, min_width=320, elem_classes="stage"):
            found = gr.HTML(elem_id="verify-found", padding=False)
    file.change(check, file, found, api_visibility="private")


def tell(found: Verification) -> str:
    """What was found as HTML: what follows from it first, then a paragraph for each finding."""
    *findings, conclusion = found.meaning
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in findings)
    return f"<h3>{html.escape(conclusion)}</h3>{lines}"
