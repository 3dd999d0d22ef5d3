"""`latentface translate`: the face in a photo becomes one of another kind of pictures."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from latentface.cli.command import NETWORKS, Command, check_flags, flag
from latentface.cli.flags import build_options, device_flag, face_flag, landmarks_flag, options_flags, report_flags
from latentface.cli.outputs import check_outputs, default_output, naming, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.errors import UsageError
from latentface.options.photos import TranslateOptions


@click.command(cls=Command, short_help="Translate the face in a photo to another kind of picture.")
@click.argument("source", type=click.Path(path_type=Path), metavar="PHOTO|FOLDER")
@flag(
    "--model", required=True, type=click.Path(path_type=Path), section=NETWORKS,
    help="File of the network, from `latentface train translate`.",
)  # fmt: skip
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write, or for a FOLDER the folder.  [default: PHOTO.translate.png in the working folder]",
)  # fmt: skip
@flag(
    "--attention", type=click.Path(path_type=Path),
    help="Also write where the network changed something, as a grey picture; for a FOLDER, a folder of them.",
)  # fmt: skip
@options_flags(TranslateOptions)
@provenance_flags()
@landmarks_flag()
@face_flag()
@device_flag
@report_flags
def translate(
    report: Report, source: Path, model: Path, output: Path | None, attention: Path | None, landmarks: str, face: Any,
    device: str, **flags: Any,
) -> None:  # fmt: skip
    """Translate the face in a PHOTO, or in each photo of a FOLDER, to the other kind of pictures that a network knows.

    `latentface train translate` trains the network on two folders of pictures.
    """
    check_flags()
    sources, targets, maps = _names(source, output, attention)
    publisher = build_publisher(report, "translate", flags, [source], {"back": flags["back"]})
    options = build_options(TranslateOptions, flags)
    check_outputs([*targets, *maps], sources)
    began = time.perf_counter()

    from latentface import api, hub
    from latentface.editing.translation import translate as translated
    from latentface.io.images import read_photo, write_image

    with prepared_folder(targets[0].parent), prepared_folder(maps[0].parent if maps else None):
        network = hub.translation(model, api.pick_device(device))
        for number, photo in enumerate(sources):
            with naming(photo):
                made = translated(read_photo(photo), network, options, face=face, landmarks=landmarks, device=device)
            publisher.of(photo).photo(targets[number], made.photo)
            if maps:
                write_image(maps[number], made.attention)
            report.say(f"{photo} -> {targets[number]}")
    report.result(
        {
            "command": "translate", "photos": [str(each) for each in sources], "outputs": [str(t) for t in targets],
            "attention": [str(each) for each in maps], "model": str(model), "options": asdict(options),
            "seconds": round(time.perf_counter() - began, 3), "exit_code": 0,
        }
    )  # fmt: skip


def _names(source: Path, output: Path | None, attention: Path | None) -> tuple[list[Path], list[Path], list[Path]]:
    """The photos, the results, and the maps where they are asked for."""
    from latentface.io.images import list_photos

    if not source.is_dir():
        return [source], [output or default_output(source, "translate.png")], [attention] if attention else []
    if output is None:
        raise UsageError(f"{source} is a folder: say with -o FOLDER where its results go")
    photos = list_photos(source)
    targets = [output / default_output(photo, "translate.png") for photo in photos]
    maps = [attention / default_output(photo, "attention.png") for photo in photos] if attention else []
    return photos, targets, maps
