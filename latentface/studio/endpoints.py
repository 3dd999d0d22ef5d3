"""The verbs as named HTTP endpoints, for use without the page; docs/studio.md shows how to call them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from latentface.errors import UsageError
from latentface.options.clips import ClipOptions, VideoOptions
from latentface.studio.blocks import keyframes_of, parse_blocks, parse_changes
from latentface.studio.desk import Desk, explained
from latentface.studio.jobs import Work, result_of
from latentface.studio.session import Subject

AT_ONCE = 1  # concurrent requests of a verb: the queue runs one job at a time anyway


def add_endpoints(desk: Desk) -> None:
    """Define the endpoints within the page that is being built; they are invisible there."""
    workshop, path = desk.workshop, partial(desk.shared.uploaded, what="file")

    def edit(photo: str, changes: Any, face: float, kind: str) -> list[str]:
        """The photo with its face changed: values by names of emotions and controls; face 0 is the largest."""
        return do(workshop.edit(path(photo), numbers(changes), number(face), kind=kind))

    def transfer(
        identity: str, expression: str, strength: float, only: Any, face: float, expression_face: float
    ) -> list[str]:
        """The first photo with the expression of the second; only: a list of parts of the face, or empty."""
        pair, faces = (path(identity), path(expression)), (number(face), number(expression_face))
        return do(workshop.transfer(*pair, strength, parts(only), *faces))

    def video(photo: str, emotions: Any, fps: str, face: float, kind: str) -> list[str]:
        """The photo's face going through emotions: a list of [emotion, seconds, strength]."""
        sequence, drawing = parse_blocks(lines(emotions, "[emotion, seconds, strength]")), VideoOptions(fps=fps)
        return do(workshop.video(path(photo), sequence, None, drawing, number(face), kind=kind))

    def animate(photo: str, driving: str, only: Any, face: float, kind: str) -> list[str]:
        """The photo moving as the face of a clip does; only: as in transfer; face 0 is all of them."""
        return do(workshop.animate(path(photo), path(driving), parts(only), number(face), kind=kind))

    def clip(clip: str, changes: Any, fade: float, mode: str, face: float, kind: str) -> list[str]:
        """The clip with a face changed: a list of [what, by how much, from second, to second]; the last may be null."""
        keyframes = keyframes_of(parse_changes(lines(changes, "[what, by how much, from second, to second]")), fade)
        return do(workshop.edit_clip(path(clip), keyframes, ClipOptions(mode=mode), number(face), kind=kind))

    def project(photo: str, steps: float, face: float) -> list[str]:
        """The picture that the network draws of a face, and its latent."""
        return do(workshop.project(path(photo), int(steps), number(face)))

    def mix(first: str, second: str, rows: str, share: float) -> list[str]:
        """The first face with rows of the second's latent, such as 0-3: the three pictures side by side, the latent."""
        return do(workshop.mix(path(first), path(second), rows, share))

    def faces(photo: str) -> list[dict[str, Any]]:
        """The faces of a photo, the surest first: number and corners in its pixels."""
        found = Subject.read(path(photo)).faces
        return [{"number": k, "corners": face.quad.round(1).tolist()} for k, face in enumerate(found, 1)]

    def do(work: Work) -> list[str]:
        job = desk.queue.submit("API", work)
        return desk.shared.files(result_of(desk.queue.wait(job.number)))

    with gr.Column(visible=False):
        face, kind = ("face", 0), ("kind", "png")
        _endpoint(edit, ["photo"], [("changes", {}), face, kind])
        _endpoint(transfer, ["identity", "expression"], [("strength", 1.0), ("only", []), face, ("expression_face", 0)])
        _endpoint(video, ["photo"], [("emotions", []), ("fps", "25"), face, ("kind", "mp4")])
        _endpoint(animate, ["photo", "driving"], [("only", []), face, ("kind", "mp4")])
        _endpoint(clip, ["clip"], [("changes", []), ("fade", 0.4), ("mode", "relative"), face, ("kind", "mp4")])
        _endpoint(project, ["photo"], [("steps", 100), face])
        _endpoint(mix, ["first", "second"], [("rows", "0-3"), ("share", 1.0)])
        _endpoint(faces, ["photo"], [], gr.JSON(label="faces"))


def _endpoint(
    verb: Callable[..., Any], files: list[str], values: list[tuple[str, Any]], output: Any | None = None
) -> None:
    """One endpoint of the verb's name: files are uploaded, and each of the other values has a default."""
    inputs: list[Any] = [gr.File(label=name, type="filepath") for name in files]
    for name, value in values:
        make = gr.JSON if isinstance(value, dict | list) else gr.Textbox if isinstance(value, str) else gr.Number
        inputs.append(make(value, label=name))
    made = output or gr.File(label="results", file_count="multiple")
    gr.Button(verb.__name__).click(
        explained(verb), inputs, made, api_name=verb.__name__, api_description=verb.__doc__,
        concurrency_limit=AT_ONCE,
    )  # fmt: skip


def lines(value: Any, form: str) -> list[list[Any]]:
    """The lines of a table as sent; UsageError for another form."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise UsageError(f"expected a list of {form}, got {value!r}")
    return value


def parts(value: Any) -> list[str]:
    """Parts of the face as sent."""
    return [str(each) for each in value or ()]


def number(value: float | None) -> int | None:
    """A face's number; None for 0."""
    return int(value) if value else None


def numbers(value: Any) -> dict[str, float]:
    """Changes as sent; UsageError for anything but numbers by names."""
    if not isinstance(value, dict) or not all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in value.values()
    ):
        raise UsageError(f"changes is {value!r}; expected numbers by names, such as {{'happiness': 2, 'yaw+': 5}}")
    return {str(name): float(each) for name, each in value.items()}
