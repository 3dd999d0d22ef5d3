"""`latentface retarget`: what a face does, in the picture of a person whom a network has learnt."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import NETWORKS, Command, check_flags, flag
from latentface.cli.flags import (
    CLIP,
    FRAMES,
    device_flag,
    face_flag,
    kind_of_any,
    landmarks_flag,
    rate_flag,
    report_flags,
)
from latentface.cli.outputs import check_outputs, default_output, naming, prepared_folder, write_film
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Bar, Report
from latentface.errors import InputError, UsageError
from latentface.modes import when

if TYPE_CHECKING:
    from latentface.networks.retargeting import Person
    from latentface.provenance.publish import Publisher
    from latentface.retargeting.retargeter import Retargeter

SOURCES, WHO = "the sources", "the person"
ONE, TWO, MOVING, STILLS = "one photo", "two photos", "a clip", "a folder of frames"
KNOWN, NEW = "a known person", "a new person"
FILMS = (".mp4", ".webm", ".gif")
RATE = 12  # frames a second of a way between two expressions that is written as a clip


@click.command(cls=Command, short_help="Show what a face does in the picture of another person.")
@click.argument("faces", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FACE_OR_CLIP [FACE]")
@flag(
    "--to", required=True,
    help="Who is shown: the name of a person of the network, a file of --save-person, or a picture or a folder of "
    "pictures of somebody new.",
)  # fmt: skip
@flag(
    "-o", "--output", type=click.Path(path_type=Path),
    help="File to write.  [default: FACE.retarget.png, or .mp4 for a clip, in the working folder]",
)  # fmt: skip
@flag(
    "--steps", type=click.IntRange(2, 1000), default=7, show_default=True, applies_to=(when(SOURCES, TWO),),
    help="Number of pictures from the first face's expression to the second one's.",
)  # fmt: skip
@flag(
    "--save-person", type=click.Path(path_type=Path), applies_to=(when(WHO, NEW),),
    help="Also write the new person to this file, for --to.",
)  # fmt: skip
@flag(
    "--fit-steps", type=click.IntRange(1, 10_000), default=150, show_default=True, applies_to=(when(WHO, NEW),),
    help="Steps of the fit of a new person.",
)  # fmt: skip
@flag(
    "--network", required=True, section=NETWORKS,
    help="File of a network from `latentface train retarget`.",
)  # fmt: skip
@device_flag
@face_flag()
@landmarks_flag()
@rate_flag((when(SOURCES, STILLS),))
@provenance_flags()
@report_flags
def retarget(report: Report, faces: tuple[Path, ...], to: str, output: Path | None, **flags: Any) -> None:
    """Show what the face in a photo or a clip does in the picture of another person.

    With two photos, the person goes from the first expression to the second: a strip of pictures, or a clip if the
    output's name ends as one. The network knows the people it was trained on; somebody new is fitted to a few pictures.
    """
    if len(faces) > 2:
        raise UsageError(f"{len(faces)} faces: give a photo or a clip, or two photos to go from one to the other")
    from latentface.io.images import PHOTO_SUFFIXES

    kinds = [kind_of_any(path) for path in faces]
    moving = any(kind in (CLIP, FRAMES) for kind in kinds)
    if moving and len(faces) == 2:
        raise UsageError("the way between two expressions starts and ends with a photo; give one clip, or two photos")
    is_new = Path(to).is_dir() or Path(to).suffix.lower() in PHOTO_SUFFIXES
    sources = TWO if len(faces) == 2 else {CLIP: MOVING, FRAMES: STILLS}.get(kinds[0], ONE)
    check_flags({SOURCES: sources, WHO: NEW if is_new else KNOWN})
    target = output or default_output(faces[0], "retarget.mp4" if moving else "retarget.png")
    check_outputs([target, flags["save_person"]], [*faces, to])
    publisher = build_publisher(report, "retarget", flags, list(faces), {"steps": flags["steps"]})
    began = time.perf_counter()

    from latentface.retargeting.retargeter import load_retargeter

    model = load_retargeter(flags["network"], flags["device"], flags["landmarks"])
    with prepared_folder(target.parent), report.progress() as bar:
        with naming(Path(to)):
            person = _enrol(model, Path(to), flags, bar) if is_new else model.person(to)
        with naming(*faces):
            pictures = _write(model, faces, person, target, flags, publisher, bar)
    report.say(f"{pictures} pictures -> {target}")
    report.result(
        {
            "command": "retarget", "faces": [str(face) for face in faces], "to": to, "new": is_new,
            "network": flags["network"], "people": list(model.people), "output": str(target), "pictures": pictures,
            "seconds": round(time.perf_counter() - began, 3), "exit_code": 0,
        }
    )  # fmt: skip


def _enrol(model: Retargeter, source: Path, flags: dict[str, Any], bar: Bar) -> Person:
    from latentface.io.images import list_photos, read_image
    from latentface.retargeting.people import save_person

    paths = list_photos(source) if source.is_dir() else [source]
    if not paths:
        raise InputError(f"{source} holds no pictures; give a few of the new person")
    bar.start("fitting the person", flags["fit_steps"])
    photos = [read_image(path) for path in paths]
    person = model.enrol(photos, flags["fit_steps"], lambda step, loss: bar.step(step + 1))
    if flags["save_person"] is not None:
        save_person(flags["save_person"], person, model.network)
    return person


def _write(
    model: Retargeter, faces: tuple[Path, ...], person: Person, target: Path, flags: dict[str, Any],
    publisher: Publisher, bar: Bar,
) -> int:  # fmt: skip
    """Write the result; returns how many pictures it has."""
    import numpy as np

    from latentface.io.clip import Clip
    from latentface.io.images import Photo, read_image
    from latentface.io.provenance import GENERATED
    from latentface.io.video import read_clip

    if kind_of_any(faces[0]) in (CLIP, FRAMES):
        clip = model.retarget_clip(read_clip(faces[0], flags["rate"]), person, flags["face"])
        return write_film(bar, "retargeting", target, clip, publisher).frames
    codes = [model.read(read_image(face), flags["face"]) for face in faces]
    if len(codes) == 1:
        publisher.photo(target, Photo(model.show(codes[0], person)[0], source_type=GENERATED))
        return 1
    pictures = model.interpolate(codes[0], codes[1], person, flags["steps"])
    if target.suffix.lower() in FILMS:
        side = pictures.shape[1]
        way = Clip.of(list(pictures), RATE, (side, side), count=len(pictures), source_type=GENERATED)
        return write_film(bar, "going from one to the other", target, way, publisher).frames
    publisher.sheet(target, Photo(np.concatenate(list(pictures), axis=1), source_type=GENERATED))
    return len(pictures)
