"""`latentface stylise`: the face in a photo, drawn in the style of a picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Command, check_flags, flag, was_given
from latentface.cli.flags import (
    build_finder,
    build_options,
    build_project,
    device_flag,
    finder_flags,
    is_photo,
    kind_of,
    network_flag,
    options_flags,
    report_flags,
)
from latentface.cli.outputs import check_outputs, default_output, prepared_folder
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Bar, Report, face_facts
from latentface.errors import OutputError, UsageError
from latentface.modes import when
from latentface.options.styles import StyleOptions, StyliseOptions

if TYPE_CHECKING:
    from latentface.editing.stylisation import Stylised
    from latentface.faces.crop import FaceCrop
    from latentface.networks.generator import Generator
    from latentface.styles.style import Style

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
SUFFIX = ".safetensors"
SOURCE, STYLE = "the source", "the style"
LEARNT, FILE = "a picture", "a style file"
OF_PHOTO, BY_GENERATOR = is_photo(SOURCE), when("method", "generator")


@click.command(cls=Command, short_help="Draw the face in a photo in the style of a picture.")
@click.argument("source", type=click.Path(path_type=Path), metavar="PHOTO|LATENT")
@flag(
    "--style", "styles", multiple=True, required=True, type=click.Path(path_type=Path), metavar="PICTURE|FILE",
    help="A picture of a drawn or painted face, from which the style is learnt, or a style file. If repeated, the "
    "styles are mixed.",
)  # fmt: skip
@flag("--shares", help="Shares of the mixed styles, such as 0.3,0.7.  [default: equal ones]")
@flag(
    "--save-style", type=click.Path(path_type=Path), applies_to=(BY_GENERATOR,),
    help="Where the style is kept, learnt or mixed, for other photos.  [default: STYLE.style.safetensors in the "
    "working folder for a picture]",
)  # fmt: skip
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write.  [default: SOURCE.stylise.png in the working folder]",
)  # fmt: skip
@options_flags(StyliseOptions, also={"place": (OF_PHOTO,), "detail": (OF_PHOTO,)})
@options_flags(StyleOptions, also=(when(STYLE, LEARNT), BY_GENERATOR), without=("seed",))
@provenance_flags()
@network_flag
@device_flag
@finder_flags(OF_PHOTO, likeness="")
@report_flags
def stylise(
    report: Report, source: Path, styles: tuple[Path, ...], shares: str | None, output: Path | None, **flags: Any
) -> None:
    """Draw the face in a photo, or of a latent file, in the style of a picture.

    A style is learnt once from a picture, in some minutes, and kept in a file; with this file, other photos take
    seconds, and `edit`, `video` and `sample` draw in the style as well.
    """
    learnt = [path for path in styles if path.suffix.lower() != SUFFIX]
    check_flags({SOURCE: kind_of(source), STYLE: LEARNT if learnt else FILE, "method": flags["method"]})
    weights = parse_shares(shares, len(styles))
    publisher = build_publisher(report, "stylise", flags, [source, *styles], {"method": flags["method"]})
    project = build_project(flags, flags["seed"])
    learning = StyleOptions(
        learning_steps=flags.pop("learning_steps"), tuning_rate=flags.pop("tuning_rate"), seed=flags["seed"]
    )
    options = build_options(StyliseOptions, flags)
    flags["seed"] = options.seed
    target = output or default_output(source, "stylise.png")
    if target.suffix.lower() not in PICTURES:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in {', '.join(PICTURES)}")
    check_outputs([target, flags["save_style"]], [source, *styles])

    began = time.perf_counter()
    with prepared_folder(target.parent), report.progress() as bar:
        made, facts = (_by_pixels if options.method == "gatys" else _by_generator)(
            report, bar, source, styles, weights, options, learning, project, flags
        )
        publisher.photo(target, made.photo)
    seconds = time.perf_counter() - began
    report.say(f"{', '.join(path.name for path in styles)} -> {target} ({seconds:.1f} s)")
    report.result(
        {
            "command": "stylise", "source": str(source), "styles": [str(path) for path in styles], "shares": weights,
            "output": str(target), **facts, "options": asdict(options), "seconds": round(seconds, 3), "exit_code": 0,
        }
    )  # fmt: skip


def parse_shares(text: str | None, count: int) -> list[float]:
    """`0.3,0.7` -> a share for each of `count` styles; equal shares by default."""
    if text is None:
        return [1 / count] * count
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(-2 <= share <= 2 for share in found) or not any(found):
        raise UsageError(
            f"--shares {text!r}: expected {count} numbers from -2 to 2, not all 0, one for each --style: 0.3,0.7"
        )
    return found


def _by_generator(
    report: Report, bar: Bar, source: Path, styles: Sequence[Path], weights: Sequence[float],
    options: StyliseOptions, learning: StyleOptions, project: Any, flags: dict[str, Any],
) -> tuple[Stylised, dict[str, object]]:  # fmt: skip
    from latentface import api
    from latentface.editing.stylisation import style_projection, stylise_face
    from latentface.styles.style import Style, mix

    generator = api.load_generator(flags["network"], flags["device"])
    project = project or style_projection(generator, flags["seed"])
    # what costs nothing first: a style that cannot be used must not wait for a projection, nor a photo for learning
    opened = [_open(generator, path, flags["landmarks"]) for path in styles]
    face = build_finder(report, bar, generator, True, project, flags).face(source, flags["face"])
    alone = flags["save_style"] if len(styles) == 1 else None
    found = [
        each if isinstance(each, Style) else _learn(report, bar, generator, path, each, learning, alone)
        for path, each in zip(styles, opened, strict=True)
    ]
    style = found[0] if len(found) == 1 and not was_given("shares") else mix(list(zip(found, weights, strict=True)))
    if flags["save_style"]:
        style.save(flags["save_style"])
        report.note(f"the style is kept in {flags['save_style']}")
    return stylise_face(face, generator, style, options), {**face_facts(face), "network": flags["network"]}


def _open(generator: Generator, path: Path, landmarks: str) -> Style | FaceCrop:
    """The style of a file, or the face of a style picture."""
    from latentface.editing.stylisation import open_style, style_face

    if path.suffix.lower() == SUFFIX:
        return open_style(path, generator)
    return style_face(path, generator.config.resolution, landmarks)


def _learn(
    report: Report, bar: Bar, generator: Generator, path: Path, crop: FaceCrop, options: StyleOptions, save: Path | None
) -> Style:
    """A style learnt from a picture, and kept under its name unless it is to be saved elsewhere.

    Interrupted, it leaves its state beside the style, and the same command goes on from there.
    """
    from latentface.editing.stylisation import learn_style

    target = save or default_output(path, f"style{SUFFIX}")
    bar.start(f"learning {path.stem}", options.learning_steps)
    style = learn_style(
        crop, generator, options, name=path.stem, on_step=lambda step, loss: bar.step(step + 1),
        checkpoint=target.with_suffix(f".part{SUFFIX}"),
    )  # fmt: skip
    if save is None:
        style.save(target)
        report.note(f"the style is kept in {target}; give this file to --style for other photos")
    return style


def _by_pixels(
    report: Report, bar: Bar, source: Path, styles: Sequence[Path], weights: Sequence[float],
    options: StyliseOptions, learning: StyleOptions, project: Any, flags: dict[str, Any],
) -> tuple[Stylised, dict[str, object]]:  # fmt: skip
    from latentface import api
    from latentface.editing.stylisation import restyle, style_picture
    from latentface.io.images import read_photo
    from latentface.styles.texture import total_steps

    if len(styles) > 1 or source.suffix.lower() == SUFFIX:
        raise UsageError("--method gatys draws one photo in one style; give one --style, and a photo")
    photo = read_photo(source)
    bar.start("drawing", total_steps(max(photo.rgb.shape[:2]), options.texture_steps))
    device = api.pick_device(flags["device"])
    return restyle(photo, style_picture(styles[0]), options, lambda step, loss: bar.step(step + 1), device), {}
