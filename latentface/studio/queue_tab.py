"""The tab that lists every job of a session, with its results, and cancels those that are not over."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from latentface.studio.desk import Desk, Shared, file_address
from latentface.studio.job_panel import PICTURES, TICK, status_html
from latentface.studio.jobs import Job

EMPTY = "No jobs yet. What takes longer than a moment is listed here, and goes on when the page is closed."


def job_cards(jobs: Sequence[Job], shared: Shared) -> str:
    """The current jobs, each with a progress bar, or with links to its results."""
    return "".join(_card(job, shared) for job in jobs) or status_html(None, EMPTY)


def _card(job: Job, shared: Shared) -> str:
    files = shared.files(job.files)
    shown = next((path for path in files if path.endswith(PICTURES)), None)
    if shown is None and job.picture is not None:
        shown = shared.picture(job.picture)
    picture = f'<img src="{file_address(shown)}" alt="">' if shown else '<span class="blank"></span>'
    links = " ".join(
        f'<a href="{file_address(path)}" download="{html.escape(Path(path).name)}">{html.escape(Path(path).name)}</a>'
        for path in files
    )
    return f'<article class="card">{picture}<div>{status_html(job)}{links}</div><b>{job.number}</b></article>'


@dataclass(frozen=True)
class QueueTab:
    """The tab's components."""

    desk: Desk
    cards: gr.HTML
    number: gr.Dropdown
    cancel: gr.Button
    timer: gr.Timer

    @property
    def outputs(self) -> list[Any]:
        """What `restore` fills."""
        return [self.cards, self.number, self.cancel, self.timer]

    def restore(self, token: str) -> dict[Any, Any]:
        """The current state of all jobs."""
        jobs = self.desk.queue.of(token)
        going = [(f"{job.number}: {job.title}", job.number) for job in jobs if not job.is_over]
        return {
            self.cards: job_cards(jobs, self.desk.shared),
            self.number: gr.update(choices=going, value=going[0][1] if going else None, visible=bool(going)),
            self.cancel: gr.update(visible=bool(going)),
            self.timer: gr.Timer(active=bool(going)),
        }

    def refresh(self, token: str) -> dict[Any, Any]:
        """Only the cards while jobs are running, so that a selection is kept; everything once they are over."""
        jobs = self.desk.queue.of(token)
        over = all(job.is_over for job in jobs)
        return self.restore(token) if over else {self.cards: job_cards(jobs, self.desk.shared)}

    def stop(self, token: str, number: int | None) -> dict[Any, Any]:
        """Cancel one job of the session."""
        if number is not None and any(job.number == number for job in self.desk.queue.of(token)):
            self.desk.queue.cancel(number)
        return self.restore(token)


def build_queue(desk: Desk, token: gr.BrowserState) -> QueueTab:
    """Lay the tab out and tie its callbacks."""
    with gr.Row(elem_classes="saving"):
        number = gr.Dropdown([], label="Job", visible=False, min_width=160, elem_id="queue-number")
        cancel = gr.Button("Cancel this job", visible=False, elem_id="queue-cancel", min_width=140)
    cards = gr.HTML(elem_id="queue-cards", padding=False)
    gr.HTML(f"<p>Results are kept in <code>{html.escape(str(desk.workshop.results.folder))}</code></p>", padding=False)
    tab = QueueTab(desk, cards, number, cancel, gr.Timer(2 * TICK, active=False))
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    cancel.click(tab.stop, [token, number], tab.outputs, **quiet)
    tab.timer.tick(tab.refresh, [token], tab.outputs, trigger_mode="once", **quiet)
    return tab
