"""`latentface weights quantise`: an estimator in int8, for onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentface.cli.command import Command, flag
from latentface.cli.flags import offline_flag, report_flags
from latentface.cli.outputs import check_outputs, naming
from latentface.cli.report import Report

if TYPE_CHECKING:
    from latentface.arrays import Pixels


@click.command("quantise", cls=Command)
@click.argument("name", metavar="NAME")
@flag(
    "--calibrate", "photos", multiple=True, required=True, type=click.Path(path_type=Path), metavar="FILES",
    help="Photos with faces, or folders of them; may be repeated. Some twenty faces are enough.",
)  # fmt: skip
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[FILES...]")
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write.  [default: one in the user's cache, which `--runtime auto` finds]",
)  # fmt: skip
@offline_flag
@report_flags
def quantise_weights(
    report: Report, name: str, photos: tuple[Path, ...], more: tuple[Path, ...], output: Path | None
) -> None:
    """Convert an estimator to int8, which onnxruntime computes faster.

    NAME is landmarks, head-reader (expression, gaze, pose) or a motion model such as face-motion (its keypoints).

    It is calibrated on every second face of the photos and measured on the others, and refused if its error grows too
    much: by more than .05 points of the inter-ocular distance for landmarks. Needs the extra `onnx`; what is written
    needs only the extra `runtime`.
    """
    from latentface.pretrained import cache
    from latentface.runtime.quantisation import quantise

    files = [file for given in (*photos, *more) for file in _files(given)]
    if output is not None:
        check_outputs([output], files)
    with naming(*photos, *more):
        done = quantise(name, _pixels(files), output, cache.folder())
    smaller, accuracy = done.bytes[1] / done.bytes[0], done.accuracy
    report.say(
        f"{name}: {done.path}, {done.bytes[0] / 1e6:.1f} MB, {smaller:.2f} times smaller than in float32; error "
        f"{accuracy.int8:.3f} points on {done.faces[1]} faces, in float32 {accuracy.float32:.3f}"
    )
    figures = {"float32": accuracy.float32, "int8": accuracy.int8, "worse": accuracy.worse}
    result = {**asdict(done), "path": str(done.path), "accuracy": figures, "ratio": smaller}
    report.result({"command": "weights quantise", "network": name, **result, "exit_code": 0})


def _files(given: Path) -> list[Path]:
    """The file itself, or the pictures in a folder."""
    from latentface.io.images import PHOTO_SUFFIXES

    if not given.is_dir():
        return [given]
    return sorted(path for path in given.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)


def _pixels(files: list[Path]) -> Iterator[Pixels]:
    from latentface.io.colour import srgb
    from latentface.io.images import read_photo

    for file in files:
        yield srgb(read_photo(file)).rgb
