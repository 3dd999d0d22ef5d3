"""The page: its tabs, its look, and what happens when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from latentface._version import __version__
from latentface.studio.desk import Desk, new_token
from latentface.studio.edit_tab import Callbacks, build_edit
from latentface.studio.endpoints import add_endpoints
from latentface.studio.job_tabs import build_animate, build_mix, build_project, build_transfer
from latentface.studio.video_tab import build_video

#: The tabs beside the first one.
TABS = {
    "Transfer": build_transfer, "Video": build_video, "Animate": build_animate, "Project": build_project,
    "Mix": build_mix,
}  # fmt: skip

KEEP_HOURS = 12  # uploads and previews, unless the page is closed before
FONTS = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
CSS = """
.presets { flex-wrap: wrap; }
.job { padding: 8px 2px; } .job.failed { color: #b91c1c; } .dark .job.failed { color: #fca5a5; }
.job progress { appearance: none; width: 100%; height: 8px; border: 0; }
.job progress::-webkit-progress-bar { background: var(--border-color-primary); border-radius: 4px; }
.job progress::-webkit-progress-value { background: var(--color-accent); border-radius: 4px; }
.job progress::-moz-progress-bar { background: var(--color-accent); border-radius: 4px; }
.curve { margin: 0; } .curve svg { width: 100%; max-height: 140px; }
.blocks { display: flex; border-radius: 6px; overflow: hidden; } .blocks div { padding: 8px 4px; font-size: 12px;
  text-align: center; color: #111; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
#edit-picker { cursor: pointer; }
.dark [role="tab"][aria-selected="true"] { color: var(--primary-300) !important; }
"""


def theme() -> gr.themes.Base:
    """The look, with fonts that every machine has: nothing is loaded for it."""
    made = gr.themes.Soft(
        primary_hue="indigo", secondary_hue="indigo", neutral_hue="slate", spacing_size="sm", font=FONTS, font_mono=MONO
    )
    text, quiet = "*neutral_900", "*neutral_600"
    return made.set(
        color_accent="*primary_600", block_label_text_color=text, block_title_text_color=text,
        block_info_text_color=quiet,
        block_label_background_fill="*neutral_100", block_title_background_fill="none", block_title_padding="0",
        body_text_color_subdued=quiet, body_text_color_subdued_dark="*neutral_300",
        block_label_text_color_dark="*neutral_100", block_title_text_color_dark="*neutral_100",
        block_label_background_fill_dark="*neutral_700", block_title_background_fill_dark="none",
        block_info_text_color_dark="*neutral_300", button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700", button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700", button_primary_text_color="white",
        checkbox_label_background_fill_selected="*primary_600",
        checkbox_label_background_fill_selected_dark="*primary_600", slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )  # fmt: skip


def build_page(desk: Desk) -> gr.Blocks:
    """The page, not yet served."""
    hour = 3600
    page = gr.Blocks(title="latentface studio", analytics_enabled=False, delete_cache=(hour, KEEP_HOURS * hour))
    with page:
        token = gr.BrowserState("", storage_key="latentface-studio")
        gr.Markdown(f"# latentface studio\nVersion {__version__}. Photos stay on this machine.", elem_id="title")
        with gr.Tab("Edit", id="edit"):
            edit, panel = build_edit(desk, token)
        panels = [panel]
        for title, build in TABS.items():
            with gr.Tab(title, id=title.lower()):
                panels.append(build(desk, token))
        with gr.Tab("Queue", id="queue") as tab:
            refreshed = _queue(desk, token)
        add_endpoints(desk)
        tab.select(refreshed.look, [token], refreshed.outputs, api_visibility="private", show_progress="hidden")

        def load(known: str) -> dict[Any, Any]:
            held = known or new_token()
            shown = {token: held, **Callbacks(desk, edit, token).restore(held), **refreshed.look(held)}
            for each in panels:
                shown |= each.look(held)
            return shown

        filled = [token, *edit.outputs, *refreshed.outputs, *(each for one in panels for each in one.outputs)]
        page.load(load, [token], filled, api_visibility="private", show_progress="hidden")
    return page


@dataclass(frozen=True)
class QueueView:
    """The tab that shows every job of a session."""

    desk: Desk
    table: gr.Dataframe
    number: gr.Dropdown
    files: gr.File

    @property
    def outputs(self) -> list[Any]:
        """What a look fills."""
        return [self.table, self.number, self.files]

    def look(self, token: str) -> dict[Any, Any]:
        """All jobs as they stand, their results, and those that can be cancelled."""
        jobs = self.desk.queue.of(token)
        rows = [[job.number, job.title, job.state, f"{job.share:.0%}", job.message] for job in jobs]
        files = self.desk.shared.files(path for job in jobs for path in job.files)
        going = [job.number for job in jobs if not job.is_over]
        return {
            self.table: rows or None,
            self.number: gr.update(choices=going, value=going[0] if going else None),
            self.files: files or None,
        }

    def cancel(self, token: str, number: int | None) -> dict[Any, Any]:
        """Cancel one job of the session."""
        if number is not None and any(job.number == number for job in self.desk.queue.of(token)):
            self.desk.queue.cancel(number)
        return self.look(token)


def _queue(desk: Desk, token: gr.BrowserState) -> QueueView:
    folder = desk.workshop.results.folder
    gr.Markdown(f"Results are kept in `{folder}`.")
    table = gr.Dataframe(
        headers=["number", "what", "state", "done", "message"], interactive=False, type="array", elem_id="queue-table",
        label="Jobs, the newest first",
    )  # fmt: skip
    with gr.Row():
        number = gr.Dropdown([], label="Job", min_width=120, elem_id="queue-number")
        cancel, refresh = gr.Button("Cancel this job", elem_id="queue-cancel"), gr.Button("Refresh")
    view = QueueView(desk, table, number, gr.File(label="Results", interactive=False, elem_id="queue-files"))
    cancel.click(view.cancel, [token, number], view.outputs, api_visibility="private", show_progress="hidden")
    refresh.click(view.look, [token], view.outputs, api_visibility="private", show_progress="hidden")
    return view
