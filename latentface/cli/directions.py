"""`latentface directions`: list, show, learn and import directions in the latent space of a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Group, check_flags, flag
from latentface.cli.flags import (
    build_options,
    build_project,
    device_flag,
    network_flag,
    options_flags,
    project_flags,
    report_flags,
)
from latentface.cli.outputs import check_outputs, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report
from latentface.errors import InputError, UsageError
from latentface.io.paths import reason
from latentface.modes import unless, when
from latentface.options.projection import DirectionOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from latentface.editing.labelled_latents import Labelled
    from latentface.latents.latent import Direction
    from latentface.networks.generator import Generator

STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)
SIDE = 160  # size of a face in `show`, in pixels


EXAMPLES, FOLDERS, TABLE, SAMPLES, RENDERS = "the examples", "folders", "--csv", "--sample", "--renders"
CLASSES, LABELS, SCORES = "the classes", "labels", "scores"
OF_TABLE = when(EXAMPLES, TABLE)


@click.group(cls=Group, short_help="Learn, list, show and import directions.")
def directions() -> None:
    """Directions in the latent space of a generator, such as happiness; `latentface edit` moves faces along them."""


@directions.command("list")
@flag("--directions", "file", type=click.Path(path_type=Path), default=None, help="List the directions in this file.")
@network_flag
@report_flags
def list_command(report: Report, file: Path | None, network: str) -> None:
    """List the directions of a network, with their held-out accuracy, rows and number of samples."""
    from latentface import api

    known = api.list_directions(api.load_generator(network), file)
    head = ("NAME", "ACCURACY", "AGAINST", "LAYERS", "SAMPLES")
    table = [head, *(_line(direction) for direction in known.values())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table if known else []:
        report.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if not known:
        report.say("this network has no directions yet; learn some with latentface directions fit")
    rows = [{"name": name, **(direction.metadata or {})} for name, direction in known.items()]
    report.result({"command": "directions list", "network": network, "directions": rows, "exit_code": 0})


@directions.command("show")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@flag(
    "--latent",
    type=click.Path(path_type=Path),
    default=None,
    help="Latent file of the face to show.  [default: the mean face]",
)
@flag(
    "--directions", "file", type=click.Path(path_type=Path), default=None, help="File of directions to search as well."
)
@flag(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("directions.png"), show_default=True,
    help="The picture to write, with a row for each direction.",
)  # fmt: skip
@network_flag
@device_flag
@provenance_flags(without=("mark",))
@report_flags
def show_command(report: Report, names: tuple[str, ...], output: Path, **flags: Any) -> None:
    """Show a face at strengths from -3 to 3 of each direction."""
    check_outputs([output], [flags["latent"], flags["file"]])
    import torch

    from latentface import api
    from latentface.cli.panels import contact_sheet, enlarged
    from latentface.io.images import Photo
    from latentface.io.provenance import GENERATED

    publisher = build_publisher(report, "sample", flags, [], {"directions": ", ".join(names)})
    generator = api.load_generator(flags["network"], flags["device"])
    found = [api.load_direction(name, generator, flags["file"]) for name in names]
    start = generator.w_avg.cpu().expand(generator.config.num_ws, -1)
    if flags["latent"]:
        start = api.load_latent(flags["latent"], generator).ws
    ws = torch.stack([start + step * direction.values for direction in found for step in STRENGTHS])
    captions = [f"{name} {step}" for name in names for step in STRENGTHS]
    with prepared_folder(output.parent):
        pictures = [enlarged(image, max(SIDE, generator.config.resolution)) for image in api.synthesise(generator, ws)]
        sheet = contact_sheet(pictures, captions, len(STRENGTHS))
        publisher.sheet(output, Photo(sheet, source_type=GENERATED))
    report.say(f"{', '.join(names)} -> {output}")
    report.result({"command": "directions show", "directions": names, "output": str(output), "exit_code": 0})


@directions.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@flag("--name", default=None, help="Name of the direction.  [default: the file's name]")
@flag("--key", applies_to=(unless("the file", ".npy"),), help="Name of the tensor, in a .pt file that holds several.")
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="File to write.  [default: a file in the user's cache]",
)
@network_flag
@report_flags
def import_command(report: Report, file: Path, output: Path | None, **flags: Any) -> None:
    """Import a direction of another tool: a .npy or .pt FILE with an array [w_dim] or [num_ws, w_dim].

    Nothing in the file is executed. The direction is scaled so that strength 1 is one standard deviation of the
    network's w along it.
    """
    check_flags({"the file": file.suffix.lower()})
    check_outputs([output], [file])
    from latentface import api
    from latentface.directions.scaling import from_array

    generator = api.load_generator(flags["network"])
    direction = from_array(read_array(file, flags["key"]), generator, flags["name"] or file.stem)
    with prepared_folder(output and output.parent):
        _keep(report, "directions import", [direction], output, direction.name)


@directions.command("fit")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER...]")
@flag("--csv", "table", type=click.Path(path_type=Path), help="A table with a column named file.")
@flag(
    "--label", default="label", show_default=True, applies_to=(OF_TABLE, when(CLASSES, LABELS)),
    help="Column of the table that holds the labels.",
)  # fmt: skip
@flag(
    "--score",
    applies_to=(OF_TABLE,),
    help="Column of numbers to use instead of labels: the highest values against the lowest.",
)
@flag(
    "--condition", "conditions", multiple=True, applies_to=(OF_TABLE,),
    help="Column that the directions should leave unchanged; may be repeated.",
)  # fmt: skip
@flag(
    "--sample",
    type=click.IntRange(min=10),
    help="Learn from this many samples of the network, labelled by --classifier.",
)
@flag(
    "--classifier", default="emotion", show_default=True, applies_to=(when(EXAMPLES, SAMPLES),),
    help="Emotion classifier: a built-in name or a file.",
)  # fmt: skip
@flag("--renders", multiple=True, type=click.Path(path_type=Path), help="Folder of rendered scenes; may be repeated.")
@flag(
    "--against", applies_to=(when(CLASSES, LABELS),),
    help="The class that the others are compared with.  [default: all others]",
)  # fmt: skip
@flag("--orthogonal-to", multiple=True, metavar="NAME", help="Direction whose component is removed; may be repeated.")
@flag("--name", help="Name of the file, and of the direction learnt from a score.")
@flag("-o", "--output", type=click.Path(path_type=Path), help="File to write.  [default: a file in the user's cache]")
@network_flag
@device_flag
@options_flags(DirectionOptions)
@project_flags(when(EXAMPLES, FOLDERS, TABLE), "")
@report_flags
def fit_command(report: Report, folders: tuple[Path, ...], output: Path | None, **flags: Any) -> None:
    """Learn directions from examples: a FOLDER of photos or latent files for each class, --csv, --sample or --renders.

    Unless -o names a file, the directions are stored in the user's cache, where `edit` and `directions list` find them.
    """
    given = {FOLDERS: folders, TABLE: flags["table"], SAMPLES: flags["sample"], RENDERS: flags["renders"]}
    kinds = [kind for kind, value in given.items() if value]
    if len(kinds) != 1:
        raise UsageError("nothing to learn from; give folders, --csv, --sample or --renders, and only one of them")
    check_flags({EXAMPLES: kinds[0], CLASSES: SCORES if flags["score"] else LABELS})
    check_outputs([output], [flags["table"]])
    options = build_options(DirectionOptions, flags)
    flags["project"] = build_project(flags, options.seed)

    from latentface import api

    generator = api.load_generator(flags["network"], flags["device"])
    others = [api.load_direction(name, generator) for name in flags["orthogonal_to"]]
    with prepared_folder(output and output.parent):
        found = _learn(_gather(report, generator, folders, options, flags), generator, options, others, flags)
        for direction in found:
            report.say(f"{direction.name}: held-out accuracy {(direction.metadata or {})['accuracy']}")
        stem = flags["name"] or (found[0].name if len(found) == 1 else "fitted")
        _keep(report, "directions fit", found, output, stem)


def read_array(path: Path, key: str | None = None) -> NDArray[np.floating]:
    """Read the array in a .npy or .pt file; InputError for another file, or if there are several tensors and no key."""
    import numpy
    import torch

    try:
        if path.suffix.lower() == ".npy":
            array: NDArray[np.floating] = numpy.load(path, allow_pickle=False)
            return array
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling an unknown file can fail in many ways
        cause = f": {reason(error)}" if isinstance(error, OSError) and error.strerror else ""
        raise InputError(f"{path} cannot be read as a direction{cause}; give a .npy or .pt file") from None
    if isinstance(content, dict):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        if key is None and len(tensors) == 1:
            key = next(iter(tensors))
        if key not in tensors:
            raise InputError(f"{path} contains {', '.join(tensors) or 'no tensors'}; choose one with --key")
        content = tensors[key]
    if not isinstance(content, torch.Tensor):
        raise InputError(f"{path} contains {type(content).__name__}; expected a tensor")
    return content.detach().float().numpy()


def _gather(
    report: Report, generator: Generator, folders: Sequence[Path], options: DirectionOptions, flags: dict[str, Any]
) -> Labelled:
    """Gather labelled latents from the chosen source."""
    from latentface.editing import labelled_latents
    from latentface.emotion import Emotion

    with report.progress() as bar:
        bar.start("latents", flags["sample"] or 0)
        if flags["sample"]:
            recognise = labelled_latents.emotion_recogniser(flags["classifier"], str(generator.w_avg.device))
            names = [emotion.value for emotion in Emotion]
            return labelled_latents.from_samples(
                generator, flags["sample"], recognise, names, seed=options.seed, least=options.folds,
                on_step=bar.step, note=report.note,
            )  # fmt: skip
        if flags["renders"]:
            return labelled_latents.from_renders(flags["renders"], generator, bar.step)
        reader = labelled_latents.Reader(generator, flags["project"], flags["landmarks"], report.note, bar.step)
        if folders:
            return labelled_latents.from_folders(folders, reader)
        return labelled_latents.from_table(
            flags["table"], flags["score"] or flags["label"], reader, flags["conditions"]
        )


def _learn(
    data: Labelled, generator: Generator, options: DirectionOptions, others: list[Direction], flags: dict[str, Any]
) -> list[Direction]:
    from dataclasses import replace

    from latentface.directions.fitting import extremes, fit

    if not flags["score"]:
        return fit(
            data.ws, data.labels, generator, options,
            against=flags["against"], conditions=data.conditions, orthogonal_to=others,
        )  # fmt: skip
    part, sides = extremes(data.scores, options.fraction, data.conditions)
    held = None if data.conditions is None else data.conditions[part]
    (found,) = fit(data.ws[part], sides, generator, options, against="low", conditions=held, orthogonal_to=others)
    return [replace(found, name=flags["name"] or flags["score"])]


def _keep(report: Report, command: str, found: list[Direction], output: Path | None, stem: str) -> None:
    from latentface.pretrained.directions import place, write_directions

    target = output or place(stem, found[0].fingerprint)
    write_directions(target, found)
    names = [direction.name for direction in found]
    report.say(f"{', '.join(names)} -> {target}")
    rows = [{"name": direction.name, **(direction.metadata or {})} for direction in found]
    report.result({"command": command, "directions": rows, "output": str(target), "exit_code": 0})


def _line(direction: Direction) -> tuple[str, ...]:
    facts = direction.metadata or {}
    return (direction.name, *(facts.get(key, "-") for key in ("accuracy", "against", "layers", "samples")))
