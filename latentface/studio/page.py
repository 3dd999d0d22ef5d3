"""The page: its tabs, and what happens when it is loaded."""

from __future__ import annotations

from typing import Any

import gradio as gr

from latentface._version import __version__
from latentface.studio.clips_tab import CLIPS
from latentface.studio.complete_tab import COMPLETE
from latentface.studio.desk import Desk, new_token
from latentface.studio.edit_tab import Callbacks, build_edit
from latentface.studio.endpoints import add_endpoints
from latentface.studio.look import LOGO
from latentface.studio.queue_tab import QueueTab, build_queue
from latentface.studio.style_tab import STYLE
from latentface.studio.tool import ToolTab, build_tool
from latentface.studio.tools import ANIMATE, MIX, PROJECT, TRANSFER
from latentface.studio.verify_tab import build_verify
from latentface.studio.video_tab import VIDEO

TOOLS = (TRANSFER, VIDEO, CLIPS, ANIMATE, STYLE, COMPLETE, PROJECT, MIX)
KEEP_HOURS = 12  # lifetime of uploads and previews
TITLE = (
    f'<header class="title">{LOGO}<div><h1>latentface studio</h1>'
    f"<p>Change expressions in photos and clips. They stay on this machine. Version {__version__}</p></div></header>"
)


def build_page(desk: Desk) -> gr.Blocks:
    """The page, not yet served."""
    hour = 3600
    page = gr.Blocks(title="latentface studio", analytics_enabled=False, delete_cache=(hour, KEEP_HOURS * hour))
    with page:
        token = gr.BrowserState("", storage_key="latentface-studio")
        gr.HTML(TITLE, padding=False)
        with gr.Tab("Edit", id="edit"):
            edit, panel = build_edit(desk, token)
        tools = []
        for tool in TOOLS:
            with gr.Tab(tool.title, id=tool.name):
                tools.append(build_tool(desk, token, tool))
        with gr.Tab("Verify", id="verify"):
            build_verify(desk)
        with gr.Tab("Queue", id="queue") as tab:
            queue = build_queue(desk, token)
        add_endpoints(desk)
        tab.select(queue.restore, [token], queue.outputs, api_visibility="private", show_progress="hidden")
        tabs: list[ToolTab | QueueTab] = [*tools, queue]
        callbacks = Callbacks(desk, edit, token)

        def load(known: str) -> dict[Any, Any]:
            held = known or new_token()
            shown = {token: held, **callbacks.restore(held), **panel.look(held)}
            for each in tabs:
                shown |= each.restore(held)
            return shown

        filled = [token, *edit.outputs, *panel.outputs, *(each for one in tabs for each in one.outputs)]
        page.load(load, [token], filled, api_visibility="private", show_progress="hidden").then(
            callbacks.prepare, [token], edit.presets, show_progress="hidden", api_visibility="private"
        )
    return page
