"""`latentface edit`: the face of a photo moved along named directions, at the photo's full resolution."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.flags import (
    build_finder,
    build_options,
    device_flag,
    finder_flags,
    network_flag,
    options_flags,
    report_flags,
    seed_flag,
)
from latentface.cli.report import Report
from latentface.errors import OutputError, UsageError
from latentface.options import CompositeOptions, EditOptions

if TYPE_CHECKING:
    from latentface.arrays import Pixels
    from latentface.editing.attribute_edit import Retoucher

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
STRIP = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
GRID = (-2.0, -1.0, 0.0, 1.0, 2.0)
SIDE = 192  # pixels, of a face on a strip or grid


@click.command(short_help="Change expression, gaze or pose of a face in a photo.")
@click.argument("source", type=click.Path(path_type=Path), metavar="PHOTO|LATENT")
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=STRENGTH",
    help="A direction and how far to go, in standard deviations, such as happiness=2; may be repeated.",
)  # fmt: skip
@click.option("--preset", type=click.Path(path_type=Path), default=None, help="Strengths from a TOML file.")
@click.option("--save-preset", type=click.Path(path_type=Path), default=None, help="Write the strengths to a file.")
@click.option("--strip", default=None, metavar="NAME", help="Also OUTPUT.strip.png: this direction from -3 to 3.")
@click.option(
    "--grid", nargs=2, default=None, metavar="A B", help="Also OUTPUT.grid.png: A across and B down, from -2 to 2."
)
@click.option("--directions", type=click.Path(path_type=Path), default=None, help="A file of directions to name too.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="[default: SOURCE.edit.png]")
@click.option("--save-latent", is_flag=True, help="Also OUTPUT.latent.safetensors, the edited latent.")
@network_flag
@device_flag
@seed_flag
@options_flags(EditOptions)
@options_flags(CompositeOptions)
@finder_flags("the drawn face is shown, pasted or alone")
@report_flags
def edit(report: Report, source: Path, output: Path | None, **flags: Any) -> None:
    """Move the face of a photo (or of a latent file) along directions, and put it back into the photo.

    `latentface directions list` shows what there is. Strip and grid keep the other changes that --set asks for.
    """
    options, placing = build_options(EditOptions, flags), build_options(CompositeOptions, flags)
    target = output or source.with_name(f"{source.stem}.edit.png")
    if target.suffix.lower() not in PICTURES:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in {', '.join(PICTURES)}")
    changes = read_changes(flags["changes"], flags["preset"])
    if not changes and not flags["strip"] and not flags["grid"]:
        raise UsageError("nothing to edit; give --set NAME=STRENGTH, --preset, --strip or --grid")

    from latentface.cli.outputs import prepared_folder
    from latentface.cli.presets import save_preset

    began = time.perf_counter()
    with prepared_folder(target.parent):
        retoucher = _retoucher(report, source, changes, options, placing, flags)
        facts = _write(retoucher, changes, target, flags)
        if flags["save_preset"]:
            save_preset(flags["save_preset"], changes)
    words = ", ".join(f"{name} {strength:g}" for name, strength in changes.items())
    report.say(f"{words or 'pictures'} -> {', '.join(str(path) for path in facts['files'].values())}")
    facts |= {"source": str(source), "network": flags["network"], "set": changes, "options": asdict(options)}
    report.result({"command": "edit", **facts, "seconds": round(time.perf_counter() - began, 3), "exit_code": 0})


def read_changes(given: Sequence[str], preset: Path | None) -> dict[str, float]:
    """Strengths by name from `NAME=STRENGTH` words, over those of a preset; UsageError for another form."""
    changes: dict[str, float] = {}
    if preset is not None:
        from latentface.cli.presets import load_preset

        changes |= load_preset(preset)
    for word in given:
        name, equals, number = word.partition("=")
        try:
            strength = float(number)
        except ValueError:
            strength = math.nan
        if not name.strip() or not equals or not math.isfinite(strength):
            raise UsageError(f"--set {word!r}: expected NAME=STRENGTH, such as happiness=2")
        changes[name.strip()] = strength
    return changes


def _retoucher(
    report: Report,
    source: Path,
    changes: dict[str, float],
    options: EditOptions,
    placing: CompositeOptions,
    flags: dict[str, Any],
) -> Retoucher:
    """The face found and its latent made ready; names are looked up before any work is spent."""
    from latentface import api
    from latentface.editing.attribute_edit import Retoucher, shows_drawing
    from latentface.pretrained.directions import pick

    generator = api.load_generator(flags["network"], flags["device"])
    known = api.list_directions(generator)
    if flags["directions"]:
        known |= api.list_directions(generator, flags["directions"])
    used = [pick(name, known) for name in {*changes, *filter(None, [flags["strip"]]), *(flags["grid"] or ())}]
    with report.progress() as bar:
        finder = build_finder(report, bar, generator, shows_drawing(options, used), flags["seed"], flags)
        face = finder.face(source, flags["face"])
    return Retoucher(face, generator, known, options, placing, report.note)


def _write(retoucher: Retoucher, changes: dict[str, float], target: Path, flags: dict[str, Any]) -> dict[str, Any]:
    """The pictures that were asked for; which files there are, and how far the edit led."""
    from latentface.io.images import write_image

    files, far = {}, 0.0
    if changes:
        made = retoucher.edit(changes)
        photo, far = made.photo, made.excess
        write_image(target, photo.rgb, alpha=photo.alpha, exif=photo.exif, icc=photo.icc)
        files["output"] = str(target)
        if flags["save_latent"]:
            files["latent"] = str(target.with_name(f"{target.stem}.latent.safetensors"))
            made.latent.save(files["latent"])
    if name := flags["strip"]:
        files["strip"] = str(target.with_name(f"{target.stem}.strip.png"))
        row = [{**changes, name: step} for step in STRIP]
        write_image(files["strip"], make_sheet(retoucher, row, [f"{name} {row[k][name]:g}" for k in range(7)], 7))
    if flags["grid"]:
        across, down = flags["grid"]
        files["grid"] = str(target.with_name(f"{target.stem}.grid.png"))
        table = [{**changes, across: x, down: y} for y in GRID for x in GRID]
        captions = [f"{across} {each[across]:g}, {down} {each[down]:g}" for each in table]
        write_image(files["grid"], make_sheet(retoucher, table, captions, len(GRID)))
    return {"files": files, "excess": round(far, 3)}


def make_sheet(
    retoucher: Retoucher, table: Sequence[dict[str, float]], captions: Sequence[str], columns: int
) -> Pixels:
    """The face of each edit, cut out of the photo it was put into, in rows of `columns`: uint8 RGB."""
    from latentface.cli.panels import contact_sheet, enlarged
    from latentface.faces.alignment import crop_face

    face, pictures = retoucher.face, []
    for changes in table:
        rgb = retoucher.edit(changes).photo.rgb
        if face.crop is not None and not retoucher.options.crop:
            rgb = crop_face(rgb, face.crop.landmarks, SIDE).image
        pictures.append(enlarged(rgb, SIDE))
    return contact_sheet(pictures, captions, columns)
