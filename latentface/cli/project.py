"""`latentface project`: from photos to latent codes, reconstructions and comparison pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from latentface.cli.command import FACES, PROJECTION, Command, check_flags, flag
from latentface.cli.flags import (
    build_options,
    device_flag,
    face_flag,
    landmarks_flag,
    network_flag,
    options_flags,
    report_flags,
)
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.cli.who import ALL
from latentface.errors import UsageError
from latentface.options.projection import DEFAULT_TUNE_STEPS, ProjectOptions


@click.command(cls=Command, short_help="Invert photos of faces into latent codes.")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO...")
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder for the results.  [default: the working folder]",
)
@network_flag
@device_flag
@landmarks_flag()
@face_flag(everybody=True)
@flag("--all-faces", is_flag=True, section=FACES, help="Project every face of every photo.")
@flag(
    "--tune", is_flag=True, section=PROJECTION,
    help=f"Then fine-tune the generator to the photo (pivotal tuning), in {DEFAULT_TUNE_STEPS} steps or --tune-steps.",
)  # fmt: skip
@options_flags(ProjectOptions, PROJECTION)
@flag(
    "--batch", type=click.IntRange(1, 64), default=4, show_default=True, section=PROJECTION,
    help="Number of faces that are optimised together.",
)  # fmt: skip
@flag("--overwrite", is_flag=True, help="Project photos again that are already done.")
@provenance_flags()
@report_flags
def project(photos: tuple[Path, ...], report: Report, **flags: Any) -> int:
    """Invert each PHOTO (a file, or a folder of photos) into the latent space of a generator.

    For the largest face of each photo this writes NAME.latent.safetensors, NAME.projected.png and NAME.compare.png
    (photo, reconstruction, difference, loss). Results of faces other than the one detected with the highest confidence
    are called NAME.face2, NAME.face3 and so on. Photos that are already done are skipped. A photo that cannot be used
    is reported, and the others are still projected.
    """
    if flags.pop("tune") and not flags["tune_steps"]:
        flags["tune_steps"] = DEFAULT_TUNE_STEPS
    if flags["face"] == ALL:
        flags |= {"face": None, "all_faces": True}
    if flags["all_faces"] and flags["face"] is not None:
        raise UsageError("--face and --all-faces exclude each other; give one of them")
    check_flags({"tune_steps": flags["tune_steps"]})
    options = build_options(ProjectOptions, flags)

    from latentface.cli.project_job import ProjectJob, Settings

    publisher = build_publisher(report, "project", flags, [], asdict(options))
    settings = Settings(options=options, folder=flags.pop("output"), publisher=publisher, **flags)
    return ProjectJob(settings, report).run(photos)
