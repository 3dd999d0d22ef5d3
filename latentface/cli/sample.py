"""`latentface sample`: new faces, one a seed, as a contact sheet or as single pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from latentface.cli.flags import device_flag, network_flag, report_flags, seed_flag
from latentface.cli.report import Report
from latentface.errors import OutputError, UsageError

MOST_SEEDS = 10_000
SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


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


@click.command(short_help="Draw new faces from seeds.")
@click.option("--seeds", default=None, help="Such as 0-15 or 1,4,7-9.  [default: 16 from --seed on]")
@click.option(
    "--latent",
    "latents",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Draw a saved latent instead of seeds; may be repeated.",
)
@click.option("--tuned", is_flag=True, help="Draw each latent with the NAME.tuned.safetensors beside it.")
@click.option(
    "--psi", default=0.7, show_default=True, type=click.FloatRange(-2, 2), help="Truncation towards the mean face."
)
@click.option(
    "--columns", default=None, type=click.IntRange(1, 100), help="Pictures in a row of the sheet.  [default: square]"
)
@click.option("--captions/--no-captions", default=True, show_default=True, help="Write the seed under each picture.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    help="A picture file for one sheet, or a folder for single pictures.",
)
@network_flag
@device_flag
@seed_flag
@report_flags
def sample(report: Report, seeds: str | None, seed: int, latents: tuple[Path, ...], output: Path, **flags: Any) -> None:
    """Draw new faces, one for each seed; a seed gives the same face every time.

    With -o sheet.png the faces come on one sheet; with -o FOLDER each becomes FOLDER/seed00007.png. With --latent
    saved latent codes are drawn instead.
    """
    if seeds is not None and latents:
        raise UsageError("--seeds and --latent exclude each other; give one of them")
    numbers = parse_seeds(seeds) if seeds is not None else list(range(seed, seed + 16))
    if flags["tuned"] and not latents:
        raise UsageError("--tuned goes with --latent; name the latent whose tuned network is wanted")
    is_sheet = output.suffix.lower() in SHEET_SUFFIXES and not output.is_dir()
    if not is_sheet and output.suffix and not output.is_dir():
        raise OutputError(f"{output}: cannot write {output.suffix} files; name a folder, or a .png, .jpg or .webp file")

    from latentface import api
    from latentface.cli.outputs import prepare_folder
    from latentface.tuning import TunedDeltas

    prepare_folder(output.parent if is_sheet else output)
    generator = api.load_generator(flags["network"], flags["device"])
    names = [_name(path) for path in latents] if latents else [f"seed {number}" for number in numbers]
    codes = [api.load_latent(path, generator) for path in latents]
    beside = [path.with_name(f"{_name(path)}.tuned.safetensors") for path in latents if flags["tuned"]]
    deltas = [TunedDeltas.load(path) for path in beside]
    pictures = []
    with report.progress() as bar:
        bar.start("drawing", len(names))
        for index in range(len(names)):
            if latents:
                drawn = api.synthesise(generator, codes[index], deltas[index] if deltas else None)
            else:
                drawn = api.sample(generator, [numbers[index]], flags["psi"])
            pictures.append(drawn[0])
            bar.step(index + 1)
    files = _write(output, is_sheet, pictures, names, flags["columns"], flags["captions"])
    report.say(f"{len(pictures)} pictures -> {output}")
    report.result(
        {
            "command": "sample",
            "network": flags["network"],
            "fingerprint": generator.fingerprint,
            "seeds": None if latents else numbers,
            "latents": [str(path) for path in latents] if latents else None,
            "psi": None if latents else flags["psi"],
            "files": files,
            "exit_code": 0,
        }
    )


def _name(path: Path) -> str:
    """NAME of NAME.latent.safetensors."""
    return path.name.removesuffix(".safetensors").removesuffix(".latent")


def _write(
    output: Path, is_sheet: bool, pictures: list[Any], names: list[str], columns: int | None, captions: bool
) -> list[str]:
    """One sheet, or one file a picture; returns the paths."""
    import math

    from latentface.cli.panels import contact_sheet
    from latentface.images import write_image

    if is_sheet:
        wide = columns or math.ceil(math.sqrt(len(pictures)))
        sheet = contact_sheet(pictures, names if captions else None, wide)
        write_image(output, sheet, source_type="trainedAlgorithmicMedia")
        return [str(output)]
    paths = []
    for picture, name in zip(pictures, names, strict=True):
        number = re.fullmatch(r"seed (\d+)", name)
        path = output / (f"seed{int(number[1]):05d}.png" if number else f"{name}.png")
        write_image(path, picture, source_type="trainedAlgorithmicMedia")
        paths.append(str(path))
    return paths
