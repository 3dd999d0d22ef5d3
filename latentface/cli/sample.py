"""`latentface sample`: new faces, one for each seed, as a contact sheet or as single pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Command, check_flags, flag
from latentface.cli.flags import device_flag, load_style, network_flag, report_flags, seed_flag, style_flag
from latentface.cli.outputs import check_outputs, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Bar, Report
from latentface.errors import OutputError, UsageError
from latentface.modes import when

if TYPE_CHECKING:
    from latentface.arrays import Pixels
    from latentface.latents.latent import Latent
    from latentface.networks.generator import Generator
    from latentface.provenance.publish import Publisher
    from latentface.styles.style import Style

MOST_SEEDS = 10_000
SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Picture:
    """A picture to synthesise: its caption, the stem of its file, and the function that makes it (uint8 [R, R, 3])."""

    caption: str
    file: str
    synthesise: Callable[[], Pixels]


def parse_seeds(text: str) -> list[int]:
    """`0-15`, `3`, `1,4,7-9` -> the seeds in that order; UsageError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
        if match is None:
            raise UsageError(f"--seeds {text!r}: expected numbers and ranges such as 0-15 or 1,4,7-9")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"--seeds {text!r}: the range {first}-{last} runs backwards; write {last}-{first}")
        if last >= 2**63 or len(seeds) + last - first >= MOST_SEEDS:
            raise UsageError(f"--seeds {text!r}: at most {MOST_SEEDS} seeds below 2**63 at a time")
        seeds += range(first, last + 1)
    return seeds


SOURCE, OUTPUT = "the source", "the output"
SEEDS, LATENTS, SHEET, SINGLES = "seeds", "--latent", "one sheet", "single pictures"


@click.command(cls=Command, short_help="Generate new faces from seeds.")
@flag("--seeds", help="Seeds, such as 0-15 or 1,4,7-9.  [default: 16 seeds from --seed on]")
@flag(
    "--latent",
    "latents",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Show a saved latent instead of seeds; may be repeated.",
)
@flag(
    "--tuned", is_flag=True, applies_to=(when(SOURCE, LATENTS),),
    help="Use the NAME.tuned.safetensors beside each latent.",
)  # fmt: skip
@flag(
    "--psi", default=0.7, show_default=True, type=click.FloatRange(-2, 2), applies_to=(when(SOURCE, SEEDS),),
    help="Truncation: 1 is the full variety of faces, 0 the mean face.",
)  # fmt: skip
@flag(
    "--columns", type=click.IntRange(1, 100), applies_to=(when(OUTPUT, SHEET),),
    help="Number of pictures in a row.  [default: as many as make the sheet square]",
)  # fmt: skip
@flag(
    "--captions/--no-captions", default=True, show_default=True, applies_to=(when(OUTPUT, SHEET),),
    help="Write the seed under each picture.",
)  # fmt: skip
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    help="A picture file for one contact sheet, or a folder for single pictures.",
)
@style_flag()
@network_flag
@device_flag
@seed_flag
@provenance_flags()
@report_flags
def sample(report: Report, seeds: str | None, seed: int, latents: tuple[Path, ...], output: Path, **flags: Any) -> None:
    """Generate new faces, one for each seed; the same seed gives the same face every time.

    With -o sheet.png all faces appear on one sheet; with -o FOLDER each is written to FOLDER/seed00007.png. With
    --latent, saved latent codes are shown instead.
    """
    is_sheet = output.suffix.lower() in SHEET_SUFFIXES and not output.is_dir()
    if seeds is not None and latents:
        raise UsageError("--seeds and --latent exclude each other; give one of them")
    check_flags({SOURCE: LATENTS if latents else SEEDS, OUTPUT: SHEET if is_sheet else SINGLES})
    numbers = parse_seeds(seeds) if seeds is not None else list(range(seed, seed + 16))
    if not is_sheet and output.suffix and not output.is_dir():
        raise OutputError(f"{output}: cannot write {output.suffix} files; name a folder, or a .png, .jpg or .webp file")

    check_outputs([output], latents)

    publisher = build_publisher(report, "sample", flags, [], {"psi": flags["psi"]})

    from latentface import api

    generator = api.load_generator(flags["network"], flags["device"])
    style = load_style(flags["style"], generator)
    if latents:
        pictures = _latent_pictures(generator, latents, flags["tuned"], style)
    else:
        pictures = _seed_pictures(style.apply(generator) if style else generator, numbers, flags["psi"])
    with prepared_folder(output.parent if is_sheet else output), report.progress() as bar:
        bar.start("drawing", len(pictures))
        if is_sheet:
            _check_sheet(len(pictures), generator.config.resolution)
            files = _write_sheet(output, pictures, flags["columns"], flags["captions"], bar, publisher)
        else:
            files = _write_singles(output, pictures, bar, publisher)
    report.say(f"{len(pictures)} pictures -> {output}")
    origin: dict[str, object] = {"network": flags["network"], "fingerprint": generator.fingerprint}
    if latents:
        origin.update(seeds=None, latents=[str(path) for path in latents], psi=None)
    else:
        origin.update(seeds=numbers, latents=None, psi=flags["psi"])
    report.result({"command": "sample", **origin, "files": files, "exit_code": 0})


def _seed_pictures(generator: Generator, seeds: list[int], psi: float) -> list[Picture]:
    from latentface import api

    def of_seed(seed: int) -> Pixels:
        picture: Pixels = api.sample(generator, [seed], psi)[0]
        return picture

    return [Picture(f"seed {seed}", f"seed{seed:05d}", partial(of_seed, seed)) for seed in seeds]


def _latent_pictures(
    generator: Generator, paths: Sequence[Path], with_tuned: bool, style: Style | None
) -> list[Picture]:
    """Read and check all latents before the first is synthesised; equal names get a number."""
    from latentface import api
    from latentface.inversion.fine_tuning import TunedDeltas

    def of_latent(latent: Latent, tuned: TunedDeltas | None) -> Pixels:
        picture: Pixels = api.synthesise(generator, latent, tuned)[0]
        return picture

    pictures: list[Picture] = []
    for path in paths:
        name = path.name.removesuffix(".safetensors").removesuffix(".latent")
        tuned = TunedDeltas.load(path.with_name(f"{name}.tuned.safetensors")) if with_tuned else None
        tuned = tuned if style is None else style.over(tuned)
        taken = {picture.file for picture in pictures}
        file = next(f for f in chain([name], (f"{name}-{n}" for n in count(2))) if f not in taken)
        pictures.append(Picture(name, file, partial(of_latent, api.load_latent(path, generator), tuned)))
    return pictures


def _check_sheet(number: int, side: int) -> None:
    from latentface.io.images import MAX_PIXELS

    if number * side * side > MAX_PIXELS:
        raise UsageError(
            f"a sheet of {number} pictures of {side} x {side} pixels is more than {MAX_PIXELS // 10**6} megapixels; "
            "name a folder with -o, or ask for fewer"
        )


def _write_sheet(
    output: Path, pictures: list[Picture], columns: int | None, captions: bool, bar: Bar, publisher: Publisher
) -> list[str]:
    from latentface.cli.panels import contact_sheet
    from latentface.io.images import Photo
    from latentface.io.provenance import GENERATED

    drawn = []
    for index, picture in enumerate(pictures, 1):
        drawn.append(picture.synthesise())
        bar.step(index)
    names = [picture.caption for picture in pictures] if captions else None
    sheet = contact_sheet(drawn, names, columns or math.ceil(math.sqrt(len(drawn))))
    publisher.sheet(output, Photo(sheet, source_type=GENERATED))
    return [str(output)]


def _write_singles(folder: Path, pictures: list[Picture], bar: Bar, publisher: Publisher) -> list[str]:
    from latentface.io.images import Photo
    from latentface.io.provenance import GENERATED

    files = []
    for index, picture in enumerate(pictures, 1):
        path = folder / f"{picture.file}.png"
        publisher.photo(path, Photo(picture.synthesise(), source_type=GENERATED))
        files.append(str(path))
        bar.step(index)
    return files
