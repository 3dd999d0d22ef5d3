"""`latentface animate`: the faces of a photo move as a driving clip does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.faces import choose_faces
from latentface.cli.flags import (
    build_options,
    device_flag,
    keep_partial_flag,
    offline_flag,
    options_flags,
    rate_flag,
    report_flags,
)
from latentface.cli.report import Report
from latentface.errors import UsageError
from latentface.options import AnimateOptions

if TYPE_CHECKING:
    from latentface.io.clip import Clip, Frame

CAMERA = "camera:"


@click.command(short_help="Move the faces of a photo by a driving clip.")
@click.option("--source", required=True, type=click.Path(path_type=Path), help="The photo.")
@click.option(
    "--driving",
    required=True,
    multiple=True,
    help="The clip that moves it: a video, an animation, a folder of frames; camera:0 or camera:FILE for live. Several "
    "move one face each, the leftmost first.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="[default: PHOTO.animated.mp4]")
@click.option("--network", default="synthface-motion", show_default=True, help="Motion model: name, file or URL.")
@device_flag
@click.option("--face", type=click.IntRange(min=1), default=None, help="Only this face, 1 for the surest.")
@rate_flag
@options_flags(AnimateOptions)
@click.option("--sound/--no-sound", default=True, show_default=True, help="Keep the first driving clip's sound.")
@keep_partial_flag
@click.option(
    "--calibrate/--no-calibrate", default=True, show_default=True, help="Live: first bring the poses together."
)
@click.option(
    "--preview/--no-preview", default=True, show_default=True, help="Live: show a window where there can be one."
)
@click.option("--virtual-camera", is_flag=True, help="Live: feed the system's virtual camera (needs pyvirtualcam).")
@click.option("--seconds", type=click.FloatRange(min=0), default=None, help="Live: stop after this long.")
@offline_flag
@report_flags
def animate(report: Report, source: Path, driving: tuple[str, ...], **flags: Any) -> None:
    """Move the faces of a photo as the face of a driving clip moves; the result has the photo's own size.

    Motion is relative: what the driver's face does from its reference frame on is done by the photo's face. As many
    frames come out as go in, at the same times, with the sound. With `--driving camera:0` it happens live.
    """
    from latentface.cli.memory import keep_memory

    keep_memory()
    options = build_options(AnimateOptions, flags)
    if any(word.startswith(CAMERA) for word in driving):
        if len(driving) > 1:
            raise UsageError("a camera moves one face; give one --driving")
        from latentface.cli.live import animate_live

        animate_live(report, source, driving[0].removeprefix(CAMERA), options, flags)
        return
    output = flags["output"] or source.with_name(f"{source.stem}.animated.mp4")
    _animate_file(report, source, driving, output, options, flags)


def _animate_file(
    report: Report, source: Path, driving: tuple[str, ...], output: Path, options: AnimateOptions, flags: dict[str, Any]
) -> None:
    from dataclasses import replace

    from latentface import api
    from latentface.io import video
    from latentface.io.clip import parse_rate
    from latentface.io.images import read_photo

    photo = read_photo(source)
    rate = parse_rate(flags["rate"]) if flags["rate"] else None
    clips: list[Clip] = [video.read_clip(word, rate=rate if Path(word).is_dir() else None) for word in driving]
    model = api.load_animator(flags["network"], flags["device"])
    faces = choose_faces(source, flags["face"])
    started = time.perf_counter()
    animation = api.animate(photo, clips, model, options, faces=faces)
    clip = animation.clip if flags["sound"] else replace(animation.clip, sound=None)
    with report.progress() as bar:
        bar.start("animating", clip.count or 0)

        def on_frame(count: int, frame: Frame) -> None:
            bar.step(count)

        written = video.write_clip(output, clip, keep_partial=flags["keep_partial"], on_frame=on_frame)
    seconds = time.perf_counter() - started
    missing = animation.report.missing
    if missing:
        done = {"hold": "held still", "source": "showed the photo"}.get(options.missing, "went on")
        report.note(f"the driver showed no face in {missing} of {written.frames} frames; they {done}")
    report.say(f"{written.frames} frames, {len(animation.report.faces)} faces -> {output} ({seconds:.1f} s)")
    report.result(
        {
            "command": "animate", "source": str(source), "driving": list(driving), "network": flags["network"],
            "output": str(output), "frames": written.frames, "rate": str(clip.rate), "sound": written.sound,
            "faces": animation.report.faces, "missing": missing,
            "reference": [driver.reference for driver in animation.report.drivers], "seconds": round(seconds, 3),
            "exit_code": 0,
        }
    )  # fmt: skip
