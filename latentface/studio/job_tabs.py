"""The tabs whose work goes into the queue: transfer, animate, project, mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from latentface.errors import InputError
from latentface.head.control_names import PARTS
from latentface.latents.latent import is_latent_file
from latentface.options import ProjectOptions
from latentface.studio.commands import command
from latentface.studio.desk import Desk
from latentface.studio.job_panel import JobPanel, add_job_panel
from latentface.studio.jobs import Work
from latentface.studio.work import CLIPS

ALL_PARTS = (*PARTS, "pose")
FILM_TYPES = [".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif"]


def photo_drop(label: str, name: str, height: int = 300) -> gr.Image:
    """Where a photo is dropped; its value is the file's path."""
    return gr.Image(
        label=label, type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"], height=height,
        elem_id=name,
    )  # fmt: skip


def face_number(name: str) -> gr.Number:
    """Which face of a photo; 0 for what the verb takes by itself."""
    return gr.Number(
        0, label="Face", info="1, 2, ...; 0: the largest", precision=0, minimum=0, elem_id=name, min_width=120
    )


def parts_choice(name: str) -> gr.CheckboxGroup:
    """Which parts of the face change."""
    return gr.CheckboxGroup(list(ALL_PARTS), label="Only these parts (none: all)", elem_id=name)


def command_box(name: str) -> gr.Textbox:
    """The line that does the same."""
    return gr.Textbox(
        label="The same on the command line", interactive=False, lines=1, max_lines=6, buttons=["copy"], elem_id=name,
        placeholder="choose files first",
    )  # fmt: skip


def numbered(face: float | None) -> int | None:
    """A face's number, None for 0."""
    return int(face) if face else None


def tell_command(box: gr.Textbox, inputs: list[Any], make: Any) -> None:
    """Keep the command's line in step with the controls."""
    gr.on(
        [each.change for each in inputs], make, inputs, box,
        show_progress="hidden", queue=False, trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip


def build_transfer(desk: Desk, token: gr.BrowserState) -> JobPanel:
    """One photo gets the expression of another."""
    with gr.Row():
        with gr.Column(min_width=280):
            identity = photo_drop("Photo that changes", "transfer-identity")
            face = face_number("transfer-face")
        with gr.Column(min_width=280):
            expression = photo_drop("Photo with the expression", "transfer-expression")
            other_face = face_number("transfer-expression-face")
        with gr.Column(min_width=280):
            strength = gr.Slider(0, 1.5, 1.0, step=0.05, label="Strength", elem_id="transfer-strength")
            only = parts_choice("transfer-only")
            button = gr.Button("Transfer", variant="primary", elem_id="transfer-go")
    panel, box = add_job_panel(desk, token, "Transfer"), command_box("transfer-command")
    inputs = [identity, expression, strength, only, face, other_face]

    def work(one: str, two: str, much: float, parts: list[str], number: float, other: float) -> Work:
        one = desk.shared.uploaded(one, "photo that changes")
        two = desk.shared.uploaded(two, "photo with the expression")
        return desk.workshop.transfer(one, two, much, parts, numbered(number), numbered(other))

    def line(one: str, two: str, much: float, parts: list[str], number: float, other: float) -> str:
        if not (one and two):
            return ""
        words = ["transfer", "--identity", Path(one).name, "--expression", Path(two).name, "--strength", f"{much:g}"]
        words += ["--only", ",".join(parts)] if parts else []
        words += ["--face", f"{number:g}"] if number else []
        return command(*words, *(["--expression-face", f"{other:g}"] if other else []))

    panel.submits(button, work, inputs)
    tell_command(box, inputs, line)
    return panel


def build_animate(desk: Desk, token: gr.BrowserState) -> JobPanel:
    """A photo moves as the face of a clip does."""
    with gr.Row():
        with gr.Column(min_width=280):
            photo = photo_drop("Photo", "animate-photo")
            face = gr.Number(
                0, label="Face", info="1, 2, ...; 0: all of them", precision=0, minimum=0,
                elem_id="animate-face",
            )  # fmt: skip
        with gr.Column(min_width=280):
            driving = gr.Video(
                label="Clip, or the camera", sources=["upload", "webcam"], height=300, elem_id="animate-driving"
            )
        with gr.Column(min_width=280):
            kind = gr.Radio(list(CLIPS), value=CLIPS[0], label="Format", elem_id="animate-kind")
            button = gr.Button("Animate", variant="primary", elem_id="animate-go")
    panel, box = add_job_panel(desk, token, "Animate"), command_box("animate-command")
    inputs = [photo, driving, face, kind]

    def work(still: str, clip: str, number: float, ending: str) -> Work:
        still, clip = desk.shared.uploaded(still, "photo"), desk.shared.uploaded(clip, "clip")
        return desk.workshop.animate(still, clip, numbered(number), kind=ending)

    def line(still: str, clip: str, number: float, ending: str) -> str:
        if not (still and clip):
            return ""
        words = ["animate", "--source", Path(still).name, "--driving", Path(clip).name]
        words += ["--face", f"{number:g}"] if number else []
        return command(*words, "-o", f"{Path(still).stem}.animated.{ending}")

    panel.submits(button, work, inputs)
    tell_command(box, inputs, line)
    return panel


def build_project(desk: Desk, token: gr.BrowserState) -> JobPanel:
    """A photo's face becomes a latent."""
    with gr.Row():
        with gr.Column(min_width=280):
            photo = photo_drop("Photo", "project-photo")
        with gr.Column(min_width=280):
            steps = gr.Slider(0, 500, ProjectOptions.steps, step=10, label="Steps (0: the encoder's latent)")
            face = face_number("project-face")
            button = gr.Button("Project", variant="primary", elem_id="project-go")
    panel, box = add_job_panel(desk, token, "Project"), command_box("project-command")
    inputs = [photo, steps, face]

    def work(path: str, count: float, number: float) -> Work:
        return desk.workshop.project(desk.shared.uploaded(path, "photo"), int(count), numbered(number))

    def line(path: str, count: float, number: float) -> str:
        if not path:
            return ""
        words = ["--face", f"{number:g}"] if number else []
        return command("project", Path(path).name, "--steps", f"{count:g}", *words)

    panel.submits(button, work, inputs)
    tell_command(box, inputs, line)
    return panel


def build_mix(desk: Desk, token: gr.BrowserState) -> JobPanel:
    """One face takes rows of another's latent."""
    count = desk.workshop.editor.generator.config.num_ws
    kinds = ["image", ".safetensors"]
    with gr.Row():
        with gr.Column(min_width=280):
            first = gr.File(label="Photo or latent that stays", file_types=kinds, elem_id="mix-first")
        with gr.Column(min_width=280):
            second = gr.File(label="Photo or latent whose rows are taken", file_types=kinds, elem_id="mix-second")
        with gr.Column(min_width=280):
            rows = gr.CheckboxGroup(
                [str(row) for row in range(count)], value=[str(row) for row in range(count // 2)], elem_id="mix-rows",
                label="Rows of the latent (coarse to fine)",
            )  # fmt: skip
            share = gr.Slider(0, 1, 1.0, step=0.05, label="How far they go", elem_id="mix-share")
            button = gr.Button("Mix", variant="primary", elem_id="mix-go")
    panel = add_job_panel(desk, token, "Mix")

    def work(one: str, two: str, taken: list[str], far: float) -> Work:
        one, two = desk.shared.uploaded(one, "first file"), desk.shared.uploaded(two, "second file")
        for path in (one, two):
            if path.endswith(".safetensors") and not is_latent_file(path):
                raise InputError(f"{Path(path).name} is no latent's file")
        return desk.workshop.mix(one, two, ",".join(taken), far)

    panel.submits(button, work, [first, second, rows, share])
    return panel
