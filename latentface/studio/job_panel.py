"""The panel of a tab that shows its job: progress, a preview, the results, and a button to cancel it."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from latentface.studio.desk import Desk, explained
from latentface.studio.jobs import Job, Work

TICK = 0.5  # seconds between two updates
FILMS, PICTURES = (".mp4", ".webm"), (".png", ".jpg", ".webp", ".gif")


def status_html(job: Job | None, empty: str = "") -> str:
    """The state of a job as a line with a progress bar; without a job, the given text."""
    if job is None:
        return f'<div class="empty">{html.escape(empty)}</div>' if empty else ""
    share = round(100 * job.share)
    words = f"{job.title}: {job.state}" + (f" ({job.message})" if job.message not in ("", job.state) else "")
    bar = f'<progress max="100" value="{share}" aria-label="progress">{share} %</progress>'
    return f'<div class="job {job.state}" role="status">{html.escape(words)} {"" if job.is_over else bar}</div>'


def curve_svg(values: Sequence[float]) -> str:
    """A curve of losses, from its first value to its last."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    points = " ".join(
        f"{300 * k / (len(values) - 1):.1f},{75 - 70 * (value - low) / span:.1f}" for k, value in enumerate(values)
    )
    label = f"loss {values[0]:.3f} to {values[-1]:.3f} in {len(values)} steps"
    return (
        f'<figure class="curve"><svg viewBox="0 0 300 80" role="img" aria-label="{label}" preserveAspectRatio="none">'
        f'<polyline points="{points}" fill="none" style="stroke:var(--slider-color)" stroke-width="2" '
        f'vector-effect="non-scaling-stroke"/></svg><figcaption>{label}</figcaption></figure>'
    )


@dataclass(frozen=True)
class JobPanel:
    """The components, and their connection to the queue."""

    desk: Desk
    token: gr.BrowserState
    kind: str
    empty: str
    status: gr.HTML
    curve: gr.HTML
    picture: gr.Image
    film: gr.Video
    files: gr.File
    cancel: gr.Button
    timer: gr.Timer
    seen: gr.State

    @property
    def outputs(self) -> list[Any]:
        """The components that an update fills."""
        return [self.status, self.curve, self.picture, self.film, self.files, self.cancel, self.timer, self.seen]

    def job(self, token: str) -> Job | None:
        """The newest job of this kind that the session asked for."""
        return next((job for job in self.desk.queue.of(token) if job.title == self.kind), None)

    def look(self, token: str, seen: str = "") -> dict[Any, Any]:
        """The current state of the job; seen: the state that was shown last, which is not sent again."""
        job = self.job(token)
        mark = "" if job is None else f"{job.number} {job.state} {id(job.picture)}"
        told: dict[Any, Any] = {
            self.status: status_html(job, self.empty),
            self.curve: curve_svg(job.curve) if job else "",
            self.cancel: gr.update(visible=bool(job) and not job.is_over if job else False),
            self.timer: gr.Timer(active=job is not None and not job.is_over),
            self.seen: mark,
        }
        return told if mark == seen else told | self._results(job)

    def _results(self, job: Job | None) -> dict[Any, Any]:
        files = self.desk.shared.files(job.files) if job else []
        film = next((path for path in files if path.endswith(FILMS)), None)
        made = next((path for path in files if path.endswith(PICTURES)), None)
        picture: Any = None if film else made
        if job is not None and not job.is_over:
            picture = job.picture
        return {
            self.picture: gr.update(value=picture, visible=picture is not None),
            self.film: gr.update(value=film, visible=film is not None),
            self.files: gr.update(value=files or None, visible=bool(files)),
        }

    def submits(self, button: gr.Button, make: Callable[..., Work], inputs: Sequence[Any]) -> None:
        """Let a button submit work to the queue, which `make` creates from the values of the inputs."""

        @explained
        def submit(token: str, *values: Any) -> dict[Any, Any]:
            self.desk.queue.submit(self.kind, make(*values), token)
            return self.look(token)

        button.click(submit, [self.token, *inputs], self.outputs, show_progress="hidden", api_visibility="private")

    def stop(self, token: str) -> None:
        """Cancel the job."""
        job = self.job(token)
        if job is not None:
            self.desk.queue.cancel(job.number)


def add_job_panel(desk: Desk, token: gr.BrowserState, kind: str, empty: str = "") -> JobPanel:
    """Add a panel to the page here; empty: its text before there is a job."""
    name = kind.lower()
    with gr.Row(equal_height=True, elem_classes="status"):
        status = gr.HTML(status_html(None, empty), elem_id=f"{name}-status", padding=False)
        cancel = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=90, elem_id=f"{name}-cancel")
    panel = JobPanel(
        desk, token, kind, empty, status,
        curve=gr.HTML(elem_id=f"{name}-curve", padding=False),
        picture=gr.Image(
            label="Result", visible=False, interactive=False, format="jpeg", height=460, elem_id=f"{name}-picture",
            buttons=["fullscreen"], elem_classes="result",
        ),
        film=gr.Video(
            label="Result", visible=False, interactive=False, height=460, elem_id=f"{name}-film", autoplay=True,
            loop=True, buttons=[],
        ),
        files=gr.File(label="Download", visible=False, interactive=False, elem_id=f"{name}-files"),
        cancel=cancel,
        timer=gr.Timer(TICK, active=False),
        seen=gr.State(""),
    )  # fmt: skip
    panel.timer.tick(
        panel.look, [token, panel.seen], panel.outputs,
        show_progress="hidden", queue=False, trigger_mode="once", api_visibility="private",
    )  # fmt: skip
    cancel.click(panel.stop, [token], None, queue=False, api_visibility="private")
    return panel
