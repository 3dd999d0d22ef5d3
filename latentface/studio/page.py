"""The page: its tabs, its look, and what happens when it is loaded."""

from __future__ import annotations

from typing import Any

import gradio as gr

from latentface._version import __version__
from latentface.studio.desk import Desk, new_token
from latentface.studio.edit_tab import Callbacks, build_edit

KEEP_HOURS = 12  # uploads and previews, unless the page is closed before
FONTS = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
CSS = """
.presets { flex-wrap: wrap; }
.job { padding: 8px 2px; } .job.failed { color: #b91c1c; } .dark .job.failed { color: #fca5a5; }
.job progress { width: 100%; accent-color: var(--color-accent); }
.curve { margin: 0; } .curve svg { width: 100%; max-height: 140px; }
.blocks { display: flex; border-radius: 6px; overflow: hidden; } .blocks div { padding: 8px 4px; font-size: 12px;
  text-align: center; color: #111; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
#edit-picker { cursor: pointer; }
"""


def theme() -> gr.themes.Base:
    """The look, with fonts that every machine has: nothing is loaded for it."""
    made = gr.themes.Soft(
        primary_hue="indigo", secondary_hue="indigo", neutral_hue="slate", spacing_size="sm", font=FONTS, font_mono=MONO
    )
    text, quiet = "*neutral_900", "*neutral_600"
    return made.set(
        block_label_text_color=text, block_title_text_color=text, block_info_text_color=quiet,
        block_label_background_fill="*neutral_100", block_title_background_fill="none", block_title_padding="0",
        body_text_color_subdued=quiet, body_text_color_subdued_dark="*neutral_300",
        block_label_text_color_dark="*neutral_100", block_title_text_color_dark="*neutral_100",
        block_label_background_fill_dark="*neutral_700", block_title_background_fill_dark="none",
        block_info_text_color_dark="*neutral_300", button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700", button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700", button_primary_text_color="white",
        slider_color="*primary_600", slider_color_dark="*primary_400",
    )  # fmt: skip


def build_page(desk: Desk) -> gr.Blocks:
    """The page, not yet served."""
    hour = 3600
    with gr.Blocks(title="latentface studio", analytics_enabled=False, delete_cache=(hour, KEEP_HOURS * hour)) as page:
        token = gr.BrowserState("", storage_key="latentface-studio")
        gr.Markdown(f"# latentface studio\nVersion {__version__}. Photos stay on this machine.", elem_id="title")
        with gr.Tab("Edit", id="edit"):
            edit = build_edit(desk, token)
        callbacks = Callbacks(desk, edit)

        def load(known: str) -> dict[Any, Any]:
            held = known or new_token()
            return {token: held, **callbacks.restore(held)}

        page.load(load, [token], [token, *edit.outputs], api_visibility="private", show_progress="hidden")
    return page
