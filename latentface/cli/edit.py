"""`latentface edit`: changes the face in a photo or a clip by directions and controls, at full resolution."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.changes import read_changes
from latentface.cli.command import CLIPS, Command, check_flags, flag
from latentface.cli.flags import (
    CLIP,
    FRAMES,
    LATENT,
    PHOTO,
    build_finder,
    build_options,
    build_project,
    cache_flag,
    composite_flags,
    device_flag_for,
    face_flag,
    is_photo,
    keep_partial_flag,
    kind_of_any,
    load_style,
    network_flag_for,
    options_flags,
    project_flags,
    rate_flag,
    report_flags,
    seed_flag_for,
    style_flag,
)
from latentface.cli.outputs import check_outputs, default_output, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.errors import OutputError, UsageError
from latentface.head.control_names import CONTROLS, describe_controls
from latentface.modes import when
from latentface.options.clips import ClipOptions
from latentface.options.photos import CompositeOptions, EditOptions
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.arrays import Pixels
    from latentface.editing.attribute_edit import Retoucher
    from latentface.provenance.publish import Publisher

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
STRIP = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
GRID = (-2.0, -1.0, 0.0, 1.0, 2.0)
SIDE = 192  # size of a face on a strip or grid, in pixels


SOURCE, CHANGED = "the source", "the edit"
BY_STRENGTHS, OF_PICTURES = "--set or --preset", "nothing but --strip or --grid"
OF_PHOTO, BY_SET = is_photo(SOURCE), when(CHANGED, BY_STRENGTHS)
OF_CLIP, STILL = when(SOURCE, CLIP, FRAMES), when(SOURCE, PHOTO, LATENT)
WITH_HEAD = when(SOURCE, PHOTO, CLIP, FRAMES)


@click.command(cls=Command, short_help="Change the expression, gaze or pose of a face in a photo or a clip.")
@click.argument("source", type=click.Path(path_type=Path), metavar="PHOTO|LATENT|CLIP")
@flag(
    "--set", "changes", multiple=True, metavar="NAME=VALUE",
    help="What to change; may be repeated. Either a direction and its strength in standard deviations, such as "
    "happiness=2, or a control and its value, such as blink=1; += adds to what the photo shows, such as yaw+=10. The "
    f"controls are {describe_controls()}, and every ARKit shape (jawOpen, mouthSmileLeft, ...: 0 to 1). Where a "
    "direction has the same name as a control, direction:NAME means the direction.",
)  # fmt: skip
@flag("--preset", type=click.Path(path_type=Path), help="Read changes from a TOML file.")
@flag("--save-preset", type=click.Path(path_type=Path), applies_to=(BY_SET,), help="Write the changes to a TOML file.")
@flag(
    "--at", "keys", nargs=2, multiple=True, metavar="SECONDS NAME=VALUE", section=CLIPS, applies_to=(OF_CLIP,),
    help="What to change at this time, named as with --set; may be repeated. Values ease from one time to the next.",
)  # fmt: skip
@flag(
    "--curves", type=click.Path(path_type=Path), section=CLIPS, applies_to=(OF_CLIP,),
    help='Values over time from a JSON file: {"seconds": [0, 0.5], "jawOpen": [0, 0.4], ...}.',
)  # fmt: skip
@options_flags(ClipOptions, CLIPS, also=(OF_CLIP,))
@rate_flag((when(SOURCE, FRAMES),), CLIPS)
@flag(
    "--sound/--no-sound", default=True, show_default=True, section=CLIPS, applies_to=(OF_CLIP,), help="Keep the sound."
)
@keep_partial_flag((OF_CLIP,), CLIPS)
@flag(
    "--strip", metavar="NAME", applies_to=(STILL,),
    help="Also write OUTPUT.strip.png, with strengths of this direction from -3 to 3.",
)  # fmt: skip
@flag(
    "--grid", nargs=2, metavar="A B", applies_to=(STILL,),
    help="Also write OUTPUT.grid.png, with direction A across and B down, from -2 to 2.",
)  # fmt: skip
@flag("--directions", type=click.Path(path_type=Path), applies_to=(STILL,), help="File of further directions.")
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write.  [default: SOURCE.edit.png, for a clip SOURCE.edit.mp4, in the working folder]",
)  # fmt: skip
@flag(
    "--save-latent", is_flag=True, applies_to=(BY_SET, STILL),
    help="Also write the edited latent to OUTPUT.latent.safetensors.",
)  # fmt: skip
@network_flag_for((STILL,))
@device_flag_for((STILL,))
@seed_flag_for((STILL,))
@style_flag((STILL,))
@options_flags(EditOptions, also={"layers": (STILL,), "place": (OF_PHOTO,), "only": (WITH_HEAD,), "crop": (OF_PHOTO,)})
@composite_flags(OF_PHOTO)
@face_flag((WITH_HEAD,))
@cache_flag(OF_PHOTO)
@project_flags(OF_PHOTO, "the generated face is not shown", (WITH_HEAD,))
@provenance_flags()
@report_flags
def edit(report: Report, source: Path, output: Path | None, **flags: Any) -> None:
    """Change the expression, gaze or pose of the face in a photo or a clip, or edit the face of a latent file.

    `latentface directions list` lists the directions. The changes of --set also apply to the strip and the grid. In a
    clip the face is tracked; its speech and blinks are kept under the edit, and so are sound and timing.
    """
    kind = kind_of_any(source)
    facts = {SOURCE: kind, CHANGED: BY_STRENGTHS if flags["changes"] or flags["preset"] else OF_PICTURES}
    if kind in (CLIP, FRAMES):
        check_flags(facts)
        from latentface.cli.edit_clip import edit_clip

        edit_clip(report, source, output, read_changes(flags["changes"], flags["preset"]), flags)
        return
    if not (flags["changes"] or flags["preset"] or flags["strip"] or flags["grid"]):
        raise UsageError("nothing to edit; give --set NAME=VALUE, --preset, --strip or --grid")
    flags["crop"] = flags["crop"] or flags["style"] is not None
    check_flags(facts | {"crop": flags["crop"], "place": None if flags["place"] == "auto" else flags["place"]})
    options, placing = build_options(EditOptions, flags), build_options(CompositeOptions, flags)
    project = build_project(flags, flags["seed"])
    target = output or default_output(source, "edit.png")
    if target.suffix.lower() not in PICTURES:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in {', '.join(PICTURES)}")
    changes = read_changes(flags["changes"], flags["preset"])
    files = plan_files(target, bool(changes), flags)
    check_outputs([*files.values(), flags["save_preset"]], [source, flags["preset"], flags["directions"]])

    from latentface.cli.presets import save_preset

    publisher = build_publisher(report, "edit", flags, [source], {"set": changes, **asdict(options)})
    began = time.perf_counter()
    with prepared_folder(target.parent):
        retoucher = _retoucher(report, source, files, changes, options, placing, project, flags, facts)
        far = _write(retoucher, changes, files, flags, publisher)
        if flags["save_preset"]:
            save_preset(flags["save_preset"], changes)
    words = ", ".join(f"{name} {strength:g}" for name, strength in changes.items())
    report.say(f"{words or 'pictures'} -> {', '.join(map(str, files.values()))}")
    report.result(
        {
            "command": "edit", "files": {name: str(path) for name, path in files.items()}, "excess": round(far, 3),
            "source": str(source), "network": flags["network"], "set": changes, "options": asdict(options),
            "seconds": round(time.perf_counter() - began, 3), "exit_code": 0,
        }
    )  # fmt: skip


def plan_files(target: Path, changed: bool, flags: dict[str, Any]) -> dict[str, Path]:
    """The files to write: output, latent, strip and grid, as requested."""
    endings = {
        "latent": ".latent.safetensors" if changed and flags["save_latent"] else None,
        "strip": ".strip.png" if flags["strip"] else None,
        "grid": ".grid.png" if flags["grid"] else None,
    }
    beside = {name: target.with_name(f"{target.stem}{ending}") for name, ending in endings.items() if ending}
    return {"output": target, **beside} if changed else beside


def _retoucher(
    report: Report,
    source: Path,
    files: dict[str, Path],
    changes: dict[str, float],
    options: EditOptions,
    placing: CompositeOptions,
    project: ProjectOptions | None,
    flags: dict[str, Any],
    facts: dict[str, str],
) -> Retoucher:
    """Find the face and prepare its latent; names are checked first, before any work is done."""
    from latentface import api
    from latentface.editing.attribute_edit import Retoucher, shows_drawing, split_changes, way
    from latentface.editing.stylisation import dressed
    from latentface.io.images import lost_metadata

    generator = api.load_generator(flags["network"], flags["device"])
    known = api.list_directions(generator)
    if flags["directions"]:
        known |= api.list_directions(generator, flags["directions"])
    named = {*changes, *filter(None, [flags["strip"]]), *(flags["grid"] or ())}
    used = [direction for direction, _ in split_changes(dict.fromkeys(named, 0.0), known)[0]]
    check_flags(facts | {"place": way(options, used)})
    with report.progress() as bar:
        finder = build_finder(report, bar, generator, shows_drawing(options, used), project, flags)
        style = load_style(flags["style"], generator)
        face = finder.face(source, flags["face"])
        if style is not None:
            face = dressed(face, style)
    if face.photo is not None and "output" in files:
        report.notes(f"{files['output']}: {text}" for text in lost_metadata(files["output"], face.photo))
    return Retoucher(face, generator, known, options, placing, report.note)


def _write(
    retoucher: Retoucher, changes: dict[str, float], files: dict[str, Path], flags: dict[str, Any], publisher: Publisher
) -> float:
    """Write the requested pictures; returns how far the edit leaves the network's range."""
    from latentface.io.images import Photo
    from latentface.io.provenance import COMPOSITE, GENERATED

    far = 0.0
    if "output" in files:
        made = retoucher.edit(changes)
        photo, far = made.photo, made.excess
        if not (flags["strip"] or flags["grid"]):
            retoucher.forget()
        whole = not retoucher.options.crop
        publisher.photo(files["output"], photo, retoucher.face.photo, retoucher.face.crop if whole else None)
        if "latent" in files:
            made.latent.save(files["latent"])
    mark = GENERATED if retoucher.face.photo is None or retoucher.options.crop else COMPOSITE
    if name := flags["strip"]:
        row = [{**changes, name: step} for step in steps_of(name, STRIP)]
        sheet = make_sheet(retoucher, row, [f"{name} {row[k][name]:g}" for k in range(7)], 7)
        publisher.sheet(files["strip"], Photo(sheet, source_type=mark))
    if flags["grid"]:
        across, down = flags["grid"]
        columns, rows = steps_of(across, GRID), steps_of(down, GRID)
        table = [{**changes, across: x, down: y} for y in rows for x in columns]
        captions = [f"{across} {each[across]:g}, {down} {each[down]:g}" for each in table]
        sheet = make_sheet(retoucher, table, captions, len(GRID))
        publisher.sheet(files["grid"], Photo(sheet, source_type=mark))
    return far


def steps_of(name: str, strengths: Sequence[float]) -> list[float]:
    """The values of a strip or a grid: strengths of a direction, or as many values across a control's range."""
    control = CONTROLS.get(name)
    if control is None:
        return list(strengths)
    last = len(strengths) - 1
    return [control.low + (control.high - control.low) * k / last for k in range(last + 1)]


def make_sheet(
    retoucher: Retoucher, table: Sequence[dict[str, float]], captions: Sequence[str], columns: int
) -> Pixels:
    """The face of each edit, cropped from its photo, in rows of `columns`: uint8 RGB in sRGB."""
    from latentface.cli.panels import contact_sheet, enlarged
    from latentface.faces.alignment import crop_face
    from latentface.io.colour import convert

    face, pictures = retoucher.face, []
    for changes in table:
        made = retoucher.edit(changes).photo
        rgb = made.rgb
        if face.crop is not None and not retoucher.options.crop:
            rgb = crop_face(rgb, face.crop.landmarks, SIDE).image
        pictures.append(enlarged(convert(rgb, made.icc), SIDE))
    return contact_sheet(pictures, captions, columns)
