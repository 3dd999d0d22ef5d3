"""`latentface complete`: holes in photos of faces are painted, and what lies over a face is removed."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from latentface.cli.command import Command, check_flags, flag
from latentface.cli.flags import build_options, device_flag, face_flag, options_flags, report_flags
from latentface.cli.outputs import check_outputs, default_output, naming, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.errors import UsageError
from latentface.modes import when
from latentface.options.photos import OCCLUDERS, CompleteOptions


@click.command(cls=Command, short_help="Paint holes in a photo of a face, or remove what lies over it.")
@click.argument("photo", type=click.Path(path_type=Path))
@flag("--mask", type=click.Path(path_type=Path), help="Picture of the photo's size, white where it is to be painted.")
@flag("--box", metavar="LEFT,TOP,RIGHT,BOTTOM", help="Paint this rectangle, in pixels of the photo.")
@flag("--remove", type=click.Choice(OCCLUDERS), help="Find this on the face, and paint over it.")
@flag(
    "--regions", type=click.Path(path_type=Path), applies_to=(when("harmonise", False),),
    help="Picture of the photo's size that says which part of the face is to appear where, in the colours of regions.",
)  # fmt: skip
@flag("--save-mask", type=click.Path(path_type=Path), help="Also write the mask that was used.")
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write.  [default: PHOTO.complete.png in the working folder]",
)  # fmt: skip
@options_flags(CompleteOptions)
@provenance_flags(without=("mark",))  # all but the hole stays bit for bit as it is
@face_flag(default="the one with most of the mask")
@device_flag
@report_flags
def complete(
    report: Report, photo: Path, mask: Path | None, box: str | None, remove: str | None, regions: Path | None,
    save_mask: Path | None, output: Path | None, face: Any, device: str, **flags: Any,
) -> None:  # fmt: skip
    """Paint what a mask marks in a PHOTO of a face, so that it fits the rest; all else stays bit for bit as it is.

    Regions are painted on black: face 255,200,160, brows 128,64,0, eyes 0,128,255, nose 255,255,0, lips 255,0,0,
    inside of the mouth 255,255,255.
    """
    if sum(each is not None for each in (mask, box, remove)) != 1:
        raise UsageError("say what to complete: give one of --mask, --box and --remove")
    check_flags()
    settings = {"remove": remove, "method": flags["method"], "harmonise": flags["harmonise"]}
    publisher = build_publisher(report, "complete", flags, [photo], settings)
    options = build_options(CompleteOptions, flags)
    target = output or default_output(photo, "complete.png")
    check_outputs([target, save_mask], [photo, mask, regions])
    began = time.perf_counter()

    from latentface.completion.complete import complete as paint
    from latentface.io.images import lost_metadata, read_photo, write_image

    source = read_photo(photo)
    report.notes((*source.notes, *(f"{target}: {text}" for text in lost_metadata(target, source))))
    with prepared_folder(target.parent), report.progress() as bar:
        if options.method == "optimise":
            bar.start("searching", options.steps)
        with naming(photo, mask, regions):
            made = paint(
                source, mask, box=None if box is None else read_box(box), remove=remove, regions=regions, face=face,
                options=options, device=device, on_step=lambda step, steps: bar.step(step),
            )  # fmt: skip
        publisher.sheet(target, made.photo)
        if save_mask is not None:
            write_image(save_mask, made.hole[..., None].repeat(3, axis=2).astype("uint8") * 255)
    share = float(made.hole.mean())
    report.say(f"{int(made.hole.sum())} pixels completed, {100 * share:.1f} % of the photo -> {target}")
    report.result(
        {
            "command": "complete", "photo": str(photo), "output": str(target), "pixels": int(made.hole.sum()),
            "share": share, "options": asdict(options), "seconds": round(time.perf_counter() - began, 3),
            "exit_code": 0,
        }
    )  # fmt: skip


def read_box(text: str) -> tuple[float, ...]:
    """Four numbers of `left,top,right,bottom`; UsageError for anything else."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise UsageError(f"--box {text!r} is not LEFT,TOP,RIGHT,BOTTOM, such as 120,80,200,160")
    return numbers
