"""`latentface stream`: a clip of a talking head as one picture and a few bytes a frame, and back."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from latentface.cli.command import NETWORKS, Group, flag
from latentface.cli.faces import find_faces
from latentface.cli.flags import (
    build_options,
    device_flag,
    face_flag,
    landmarks_flag,
    offline_flag,
    options_flags,
    report_flags,
)
from latentface.cli.outputs import check_outputs, default_output, naming, prepared_folder, write_film
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.options.clips import AnimateOptions, PackOptions, ViewOptions

network_flag = flag(
    "--network", default="vid2vid", show_default=True, section=NETWORKS,
    help="Free-view talking head: the name of a built-in one, or a file.",
)  # fmt: skip


@click.group(cls=Group, short_help="Pack a talking head into a few bytes a frame, and unpack it.")
def stream() -> None:
    """Keypoint streams: a clip of a talking head as one picture and the movement of its head."""


@stream.command(short_help="Pack a clip into a keypoint stream.")
@click.argument("clip", type=click.Path(path_type=Path))
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: CLIP.heads in the working folder]",
)
@options_flags(PackOptions)
@network_flag
@face_flag(default="the largest in the first frame with a face")
@landmarks_flag()
@device_flag
@offline_flag
@report_flags
def pack(report: Report, clip: Path, output: Path | None, network: str, device: str, **flags: Any) -> None:
    """Read the head in every frame of CLIP; write its first picture with a face, and the head's movement.

    Only the face's square moves when the stream is unpacked. There is no sound.
    """
    from latentface import api, hub
    from latentface.io import video
    from latentface.io.atomic import atomic_path
    from latentface.motion import head_stream

    target = output or default_output(clip, "heads")
    check_outputs([target], [clip])
    options = build_options(PackOptions, flags)
    read = video.read_clip(clip)
    report.notes(read.notes)
    model, landmarks = api.load_talking_head(network, device), api.landmark_predictor(flags["landmarks"])
    with prepared_folder(target.parent):
        with naming(clip):
            person = hub.person_tracker(flags["face"], flags["landmarks"])
            made = head_stream.pack_clip(read, model, landmarks, options.precision, options.driver_crop, person)
        content = head_stream.to_bytes(made, options.picture_quality)
        with atomic_path(target) as partial:
            partial.write_bytes(content)
    frames, moving = len(made.states), head_stream.payload_size(content)
    bits = 8 * moving / frames
    report.say(f"{frames} frames, {len(content)} bytes, {bits:.0f} bits a frame besides the picture -> {target}")
    report.result(
        {
            "command": "stream pack", "clip": str(clip), "output": str(target), "network": network, "frames": frames,
            "rate": str(made.rate), "bytes": len(content), "payload": moving, "bits_per_frame": round(bits, 2),
            "exit_code": 0,
        }
    )  # fmt: skip


@stream.command(short_help="Render the clip of a keypoint stream.")
@click.argument("file", type=click.Path(path_type=Path))
@flag(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: FILE.mp4 in the working folder]"
)
@flag("--source", type=click.Path(path_type=Path), help="Photo of another person, whose largest face moves instead.")
@options_flags(ViewOptions)
@network_flag
@landmarks_flag()
@device_flag
@offline_flag
@provenance_flags()
@report_flags
def unpack(
    report: Report, file: Path, output: Path | None, source: Path | None, network: str, device: str, **flags: Any
) -> None:
    """Render the clip of FILE, from another view with --yaw, --pitch and --roll."""
    from latentface import api
    from latentface.errors import InputError
    from latentface.faces.crop import pick_face
    from latentface.io.colour import srgb
    from latentface.io.images import read_photo
    from latentface.motion import head_stream
    from latentface.motion.animator import square_around

    target = output or default_output(file, "mp4")
    check_outputs([target], [file, source])
    started = time.perf_counter()
    view = build_options(ViewOptions, flags)
    sources = [file] if source is None else [source, file]
    publisher = build_publisher(report, "stream", flags, sources, asdict(view))
    try:
        sent = head_stream.from_bytes(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    model = api.load_talking_head(network, device)
    options = AnimateOptions(engine="vid2vid", **asdict(view))
    photo = None
    if source is not None:
        whole, faces = find_faces(source, srgb(read_photo(source)), flags["landmarks"], report)
        photo = whole.rgb, square_around(pick_face(faces, None, str(source)).landmarks, model, options)
    clip = head_stream.play(sent, model, options, photo)
    with prepared_folder(target.parent), report.progress() as bar:
        written = write_film(bar, "rendering", target, clip, publisher)
    seconds = time.perf_counter() - started
    report.say(f"{written.frames} frames -> {target} ({seconds:.1f} s)")
    report.result(
        {
            "command": "stream unpack", "file": str(file), "source": None if source is None else str(source),
            "output": str(target), "network": network, "frames": written.frames, "rate": str(clip.rate),
            "seconds": round(seconds, 3), "exit_code": 0,
        }
    )  # fmt: skip
