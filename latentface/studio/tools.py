"""The tabs that take photos, clips and latents: transfer, animate, project, mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from latentface.errors import InputError
from latentface.latents.latent import is_latent_file
from latentface.options.projection import ProjectOptions
from latentface.studio.desk import Desk
from latentface.studio.faces import face_choice
from latentface.studio.jobs import Work
from latentface.studio.tool import Controls, Tool, clip_drop, clip_kind, flagged, numbered, parts_choice, photo_drop
from latentface.studio.work import Workshop


def _lay_out_transfer(desk: Desk) -> Controls:
    with gr.Row():
        with gr.Column(min_width=200):
            identity = photo_drop("Photo that changes", "transfer-identity")
            face = face_choice(desk, identity, "transfer-face")
        with gr.Column(min_width=200):
            expression = photo_drop("Photo with the expression", "transfer-expression")
            other = face_choice(desk, expression, "transfer-expression-face")
    strength = gr.Slider(0, 1.5, 1.0, step=0.05, label="Strength", elem_id="transfer-strength")
    return {
        "identity": identity, "expression": expression, "strength": strength, "only": parts_choice("transfer-only"),
        "face": face, "expression_face": other,
    }  # fmt: skip


def _transfer(
    shop: Workshop, identity: str, expression: str, strength: float, only: list[str], face: float,
    expression_face: float,
) -> Work:  # fmt: skip
    return shop.transfer(identity, expression, strength, only, numbered(face), numbered(expression_face))


def _transfer_words(identity: str, expression: str, strength: float, **rest: Any) -> list[str]:
    photos = ["--identity", identity, "--expression", expression]
    return ["transfer", *photos, "--strength", f"{strength:g}", *flagged(**rest)]


def _lay_out_animate(desk: Desk) -> Controls:
    with gr.Row():
        with gr.Column(min_width=200):
            photo = photo_drop("Photo that moves", "animate-photo")
            face = face_choice(desk, photo, "animate-face", everybody=True)
        with gr.Column(min_width=200):
            driving = clip_drop("Clip, or the camera", "animate-driving")
    return {
        "photo": photo, "driving": driving, "face": face, "only": parts_choice("animate-only"),
        "kind": clip_kind("animate-kind"),
    }  # fmt: skip


def _animate(shop: Workshop, photo: str, driving: str, face: float, only: list[str], kind: str) -> Work:
    return shop.animate(photo, driving, only, numbered(face), kind=kind)


def _animate_words(photo: str, driving: str, kind: str, **rest: Any) -> list[str]:
    output = f"{Path(photo).stem}.animated.{kind}"
    return ["animate", "--source", photo, "--driving", driving, *flagged(**rest), "-o", output]


def _lay_out_project(desk: Desk) -> Controls:
    photo = photo_drop("Photo", "project-photo")
    face = face_choice(desk, photo, "project-face")
    steps = gr.Slider(
        0, 500, ProjectOptions.steps, step=10, label="Steps", info="0 takes what the encoder gives",
        elem_id="project-steps",
    )  # fmt: skip
    return {"photo": photo, "steps": steps, "face": face}


def _project(shop: Workshop, photo: str, steps: float, face: float) -> Work:
    return shop.project(photo, int(steps), numbered(face))


def _project_words(photo: str, steps: float, face: float) -> list[str]:
    return ["project", photo, "--steps", f"{steps:g}", *flagged(face=face)]


def _lay_out_mix(desk: Desk) -> Controls:
    count, kinds = desk.workshop.editor.generator.config.num_ws, ["image", ".safetensors"]
    with gr.Row():
        first, second = (
            gr.File(label=f"Photo or latent {what}", file_types=kinds, elem_id=f"mix-{name}", height=160)
            for name, what in (("first", "that stays"), ("second", "to mix in"))
        )
    rows = gr.CheckboxGroup(
        [str(row) for row in range(count)], value=[str(row) for row in range(count // 2)], elem_id="mix-rows",
        label="Rows that are taken", info="The first ones shape the head, the last ones colour it.",
    )  # fmt: skip
    share = gr.Slider(0, 1, 1.0, step=0.05, label="How far they go", elem_id="mix-share")
    return {"first": first, "second": second, "rows": rows, "share": share}


def _mix(shop: Workshop, first: str, second: str, rows: list[str], share: float) -> Work:
    for path in (first, second):
        if path.endswith(".safetensors") and not is_latent_file(path):
            raise InputError(f"{Path(path).name} is no latent's file")
    return shop.mix(first, second, ",".join(rows), share)


TRANSFER = Tool(
    "Transfer", "Gives the face in one photo the expression of the face in another.", "Transfer the expression",
    _lay_out_transfer, _transfer, _transfer_words,
)  # fmt: skip
ANIMATE = Tool(
    "Animate", "Moves a photo as the face in a clip moves. Record yourself, if you like.", "Animate the photo",
    _lay_out_animate, _animate, _animate_words,
)  # fmt: skip
PROJECT = Tool(
    "Project", "Finds the latent of a face: the numbers from which the network draws it.", "Project the face",
    _lay_out_project, _project, _project_words,
)  # fmt: skip
MIX = Tool(
    "Mix", "Mixes two faces: some rows of the second one's latent take the place of the first one's.", "Mix the faces",
    _lay_out_mix, _mix,
)  # fmt: skip
