"""`latentface animate`: the faces of a photo move as a driving clip does."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import FACES, LIVE, NETWORKS, Command, check_flags, flag
from latentface.cli.faces import find_faces
from latentface.cli.flags import (
    build_options,
    device_flag_for,
    face_flag,
    keep_partial_flag,
    landmarks_flag,
    offline_flag,
    options_flags,
    rate_flag,
    report_flags,
)
from latentface.cli.outputs import check_outputs, default_output, naming, prepared_folder, write_film
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.cli.who import ALL, Who
from latentface.errors import UsageError
from latentface.modes import unless, when
from latentface.options.clips import AnimateOptions

if TYPE_CHECKING:
    from latentface.io.clip import Clip

CAMERA = "camera:"
DRIVER = "the driver"
LIVE_CAMERA, FILE, FRAMES = "a camera", "a file", "a folder of frames"
RESULT, SHOWN = "the result", "pictures that are only shown"
RECORDED, WATCHED = (unless(DRIVER, LIVE_CAMERA),), (when(DRIVER, LIVE_CAMERA),)
BY_KEYPOINTS = (when("engine", "motion", "vid2vid"),)
SQUARES = ("crop", "driver_crop")


@click.command(cls=Command, short_help="Move the faces of a photo as in a driving clip.")
@flag("--source", required=True, type=click.Path(path_type=Path), help="The photo whose faces move.")
@flag(
    "--driving",
    required=True,
    multiple=True,
    help="The clip that moves them: a video, an animated picture, a folder of frames, or camera:0 or camera:FILE for "
    "live use. May be repeated: each clip then moves one face, the leftmost face first.",
)
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: SOURCE.animated.mp4 in the working folder]",
)
@flag(
    "--network",
    section=NETWORKS,
    applies_to=BY_KEYPOINTS,
    help="Motion model or talking head: the name of a built-in or published one, a file, or a URL.  [default: "
    "face-motion; vid2vid with --engine vid2vid]",
)
@device_flag_for(BY_KEYPOINTS)
@face_flag(default="all; the largest in live use", everybody=True)
@flag(
    "--driving-face", "--driving-who", type=Who(), section=FACES,
    help="Whose face in the clips moves them, as for --face.  [default: the largest in the first frame with a face]",
)  # fmt: skip
@landmarks_flag()
@rate_flag((when(DRIVER, FRAMES),))
@options_flags(AnimateOptions, sections=dict.fromkeys(SQUARES, FACES), also={"best_frame": RECORDED})
@flag(
    "--sound/--no-sound", default=True, show_default=True, applies_to=RECORDED,
    help="Keep the sound of the first driving clip.",
)  # fmt: skip
@keep_partial_flag(RECORDED)
@flag(
    "--calibrate/--no-calibrate", default=True, show_default=True, section=LIVE, applies_to=WATCHED,
    help="First wait until the driver's pose matches the photo's.",
)  # fmt: skip
@flag(
    "--preview/--no-preview", default=True, show_default=True, section=LIVE, applies_to=WATCHED,
    help="Show the result in a window, if the system has one.",
)  # fmt: skip
@flag(
    "--virtual-camera", is_flag=True, section=LIVE, applies_to=WATCHED,
    help="Send the result to the system's virtual camera (needs the package pyvirtualcam).",
)  # fmt: skip
@flag("--seconds", type=click.FloatRange(min=0), section=LIVE, applies_to=WATCHED, help="Stop after this many seconds.")
@offline_flag
@provenance_flags((unless(RESULT, SHOWN),))
@report_flags
def animate(report: Report, source: Path, driving: tuple[str, ...], **flags: Any) -> None:
    """Move the faces of a photo as the face in a driving clip moves; the result has the size of the photo.

    The motion is relative: the photo's face repeats what has changed in the driver's face since its reference frame.
    The result has as many frames as the clip, at the same times, and its sound. With `--driving camera:0` it runs live.
    """
    from latentface.cli.memory import keep_memory

    keep_memory()
    live = any(word.startswith(CAMERA) for word in driving)
    if live and len(driving) > 1:
        raise UsageError("a camera can move one face only; give one --driving")
    frames = any(Path(word).is_dir() for word in driving)
    result = SHOWN if live and flags["output"] is None else "a file"
    check_flags({DRIVER: LIVE_CAMERA if live else FRAMES if frames else FILE, RESULT: result})
    options = build_options(AnimateOptions, flags)
    files = [word.removeprefix(CAMERA) for word in driving]
    if live:
        from latentface.cli.live import animate_live

        check_outputs([flags["output"]], [source, *files])
        animate_live(report, source, files[0], options, flags)
        return
    output = flags["output"] or default_output(source, "animated.mp4")
    check_outputs([output], [source, *files])
    with prepared_folder(output.parent):
        _animate_file(report, source, driving, output, options, flags)


def _animate_file(
    report: Report, source: Path, driving: tuple[str, ...], output: Path, options: AnimateOptions, flags: dict[str, Any]
) -> None:
    from dataclasses import replace

    from latentface import api
    from latentface.faces.crop import pick_face
    from latentface.io import video
    from latentface.io.colour import srgb
    from latentface.io.images import read_photo

    drivers = [Path(word) for word in driving]
    publisher = build_publisher(report, "animate", flags, [source, *drivers], asdict(options))
    photo = srgb(read_photo(source))
    report.notes(f"{source}: {text}" for text in photo.notes)
    rate = flags["rate"]
    clips: list[Clip] = [video.read_clip(word, rate=rate if Path(word).is_dir() else None) for word in driving]
    report.notes(note for clip in clips for note in clip.notes)
    model = api.load_engine(options.engine, flags["network"], flags["device"])
    photo, faces = find_faces(source, photo, flags["landmarks"], report)
    moving = faces if flags["face"] in (None, ALL) else [pick_face(faces, flags["face"], str(source))]
    still = [face for face in faces if all(face is not moved for moved in moving)]
    started = time.perf_counter()
    with naming(*drivers):
        animation = api.animate(
            photo, clips, model, options, faces=moving, still=still, landmarks=flags["landmarks"],
            driver_face=flags["driving_face"],
        )  # fmt: skip
    clip = animation.clip if flags["sound"] else replace(animation.clip, sound=None)
    with report.progress() as bar:
        written = write_film(bar, "animating", output, clip, publisher, keep_partial=flags["keep_partial"])
    report.notes(written.notes)
    seconds = time.perf_counter() - started
    missing = animation.report.missing
    if missing:
        done = {"hold": "held still", "source": "showed the photo"}.get(options.missing, "went on")
        report.note(f"the driver showed no face in {missing} of {written.frames} frames; they {done}")
    report.say(f"{written.frames} frames, {len(animation.report.faces)} faces -> {output} ({seconds:.1f} s)")
    report.result(
        {
            "command": "animate", "source": str(source), "driving": list(driving), "engine": options.engine,
            "network": api.engine_network(options.engine, flags["network"]), "output": str(output),
            "frames": written.frames, "rate": str(clip.rate), "sound": written.sound,
            "faces": animation.report.faces, "missing": missing,
            "reference": [driver.reference for driver in animation.report.drivers], "seconds": round(seconds, 3),
            "exit_code": 0,
        }
    )  # fmt: skip
