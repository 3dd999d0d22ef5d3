"""`latentface faces`: who is in a photo or a clip, with pictures and times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Command, flag
from latentface.cli.faces import find_faces
from latentface.cli.flags import CLIP, FRAMES, kind_of_any, landmarks_flag, rate_flag, report_flags
from latentface.cli.outputs import check_outputs, default_output, prepared_folder
from latentface.cli.report import Report
from latentface.errors import NoFaceFound

if TYPE_CHECKING:
    from latentface.arrays import Pixels

COLUMNS = 6  # of the sheet


@click.command(cls=Command, short_help="List who is in a photo or a clip, with pictures and times.")
@click.argument("source", type=click.Path(path_type=Path))
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="Picture of everybody to write.  [default: SOURCE.faces.png in the working folder]",
)  # fmt: skip
@landmarks_flag()
@rate_flag()
@report_flags
def faces(report: Report, source: Path, output: Path | None, **flags: Any) -> None:
    """List the faces in a photo, or the people in a clip, numbered as --who takes them, with a sheet of their pictures.

    In a clip people are known again after cuts and crossings, by their place and their identity.
    """
    target = output or default_output(source, "faces.png")
    check_outputs([target], [source])
    is_clip = kind_of_any(source) in (CLIP, FRAMES)
    rows, pictures = (_in_clip if is_clip else _in_photo)(report, source, flags)
    captions = [_caption(row) for row in rows]
    with prepared_folder(target.parent):
        from latentface.cli.panels import contact_sheet
        from latentface.io.images import write_image

        write_image(target, contact_sheet(pictures, captions, min(COLUMNS, len(pictures))))
    for caption in captions:
        report.say(caption)
    report.say(f"-> {target}")
    report.result({"command": "faces", "source": str(source), "output": str(target), "faces": rows, "exit_code": 0})


def _in_photo(report: Report, source: Path, flags: dict[str, Any]) -> tuple[list[dict[str, Any]], list[Pixels]]:
    """The faces of a photo by their numbers: what is known of each, and their pictures."""
    from latentface.faces.alignment import box_around
    from latentface.io.colour import srgb
    from latentface.io.images import read_photo

    photo = srgb(read_photo(source))
    _, crops = find_faces(source, photo, flags["landmarks"], report)
    rows = [
        {"face": number, "box": box_around(crop.landmarks).round().astype(int).tolist(), "score": round(crop.score, 3)}
        for number, crop in enumerate(crops, 1)
    ]
    return rows, [crop.image for crop in crops]


def _in_clip(report: Report, source: Path, flags: dict[str, Any]) -> tuple[list[dict[str, Any]], list[Pixels]]:
    """The people of a clip by their numbers: what is known of each, and their pictures."""
    import numpy as np

    from latentface import hub
    from latentface.faces.census import take_census
    from latentface.faces.people import People
    from latentface.io.video import read_clip

    clip = read_clip(source, flags["rate"])
    report.notes(clip.notes)
    people = People(hub.landmark_predictor(flags["landmarks"]), hub.embed_faces)
    frames = ((float(frame.time), np.ascontiguousarray(frame.pixels[..., :3])) for frame in clip)
    found = take_census(frames, people)
    if not found:
        raise NoFaceFound(f"{source}: no face in any of its frames")
    rows = [
        {
            "face": each.number, "frames": each.frames, "picture_at": round(each.time, 3),
            "seen": [[round(start, 3), round(end, 3)] for start, end in each.spans],
        }
        for each in found
    ]  # fmt: skip
    return rows, [each.picture for each in found]


def _caption(row: dict[str, Any]) -> str:
    """What is known of a face, in a few words."""
    if "seen" not in row:
        return f"{row['face']}"
    spans = ", ".join(f"{start:.1f}-{end:.1f}" for start, end in row["seen"][:3])
    more = ", ..." if len(row["seen"]) > 3 else ""
    return f"{row['face']}: {spans}{more} s"
