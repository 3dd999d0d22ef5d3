"""`latentface composite`: two photos of faces blended along a mask."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from latentface.cli.command import FACES, Command, check_flags, flag
from latentface.cli.faces import find_faces
from latentface.cli.flags import build_options, face_flag, landmarks_flag, offline_flag, options_flags, report_flags
from latentface.cli.outputs import check_outputs, default_output, naming, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.cli.who import Who
from latentface.errors import UsageError
from latentface.options.photos import SPLITS, BlendOptions


@click.command(cls=Command, short_help="Blend two photos of faces along a mask, or each with one half.")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@flag("--mask", type=click.Path(path_type=Path), help="Picture of the first photo's size, white where SECOND appears.")
@flag("--split", type=click.Choice(SPLITS), help="SECOND appears on this side of the face and of the picture.")
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write.  [default: FIRST.composite.png in the working folder]",
)  # fmt: skip
@options_flags(BlendOptions)
@face_flag(default="the largest of FIRST")
@flag(
    "--second-face", "--second-who", type=Who(), section=FACES,
    help="Whose face of SECOND, as for --face.  [default: the largest]",
)  # fmt: skip
@landmarks_flag()
@offline_flag
@provenance_flags(without=("mark",))  # the face is two people's
@report_flags
def composite(
    report: Report, first: Path, second: Path, mask: Path | None, split: str | None, output: Path | None,
    landmarks: str, **flags: Any,
) -> None:  # fmt: skip
    """Blend a face of the photo SECOND into the photo FIRST, over one of its faces.

    The default is the multiresolution spline of Burt and Adelson (1983), which joined an apple and an orange.
    """
    if (mask is None) == (split is None):
        raise UsageError("say what comes from the second photo: give one of --mask and --split")
    check_flags()
    publisher = build_publisher(report, "composite", flags, [first, second], {"split": split})
    options = build_options(BlendOptions, flags)
    target = output or default_output(first, "composite.png")
    check_outputs([target], [first, second, mask])

    from latentface.completion.holes import read_hole
    from latentface.compositing.two_photos import blend_photos, split_region
    from latentface.faces.crop import pick_face
    from latentface.io.colour import srgb
    from latentface.io.images import lost_metadata, read_photo
    from latentface.io.provenance import COMPOSITE

    photos, points = [], []
    for path, whose in ((first, flags["face"]), (second, flags["second_face"])):
        photo, faces = find_faces(path, srgb(read_photo(path)), landmarks, report)
        report.notes(f"{path}: {text}" for text in photo.notes)
        photos.append(photo)
        points.append(pick_face(faces, whose, str(path)).landmarks)
    base, size = photos[0], photos[0].rgb.shape[:2]
    with naming(mask):
        region = read_hole(mask, size) if mask is not None else split_region(points[0], size, split or "")
    made = blend_photos(base.rgb, photos[1].rgb, (points[0], points[1]), region, options)
    report.notes(f"{target}: {text}" for text in lost_metadata(target, base))
    with prepared_folder(target.parent):
        publisher.sheet(target, replace(base, rgb=made, source_type=COMPOSITE))
    share = float((made != base.rgb).any(2).mean())
    report.say(f"{first} and {second}, {options.blend} -> {target}")
    report.result(
        {
            "command": "composite", "first": str(first), "second": str(second), "output": str(target),
            "changed": share, "options": asdict(options), "exit_code": 0,
        }
    )  # fmt: skip
