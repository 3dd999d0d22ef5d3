"""`latentface transfer`: a photo with the expression of another photo, or of every frame of a clip."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import FACES, ROWS, Command, check_flags, flag
from latentface.cli.flags import (
    LATENT,
    PHOTO,
    build_finder,
    build_options,
    build_project,
    cache_flag,
    composite_flags,
    device_flag,
    face_flag,
    is_photo,
    kind_of,
    network_flag,
    options_flags,
    project_flags,
    rate_flag,
    report_flags,
    seed_flag,
)
from latentface.cli.outputs import check_outputs, default_output, prepared_folder
from latentface.cli.report import Report, face_facts
from latentface.errors import OutputError
from latentface.modes import unless, when
from latentface.options import CompositeOptions, TransferOptions

if TYPE_CHECKING:
    from latentface.arrays import Pixels
    from latentface.editing.expression_transfer import Result, Transferrer
    from latentface.editing.inverted_face import Face
    from latentface.io.clip import Clip, Frame

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
CLIPS = (".mp4", ".webm", ".gif")


IDENTITY, EXPRESSION, SOURCES = "the identity", "the expression", "the sources"
CLIP, FRAMES = "a clip", "a folder of frames"
PHOTOS, LATENTS = "photos or clips", "two latents"
CHOICE = ("most_layers", "exact_layers", "contiguous", "keep", "finest", "solver", "time_limit", "rounds")
OF_PHOTO = is_photo(IDENTITY)


@click.command(cls=Command, short_help="Give the face in a photo the expression of another.")
@flag(
    "--identity",
    required=True,
    type=click.Path(path_type=Path),
    help="Photo or latent file of the person who is to change.",
)
@flag(
    "--expression",
    required=True,
    type=click.Path(path_type=Path),
    help="Photo or latent file that shows the expression; or a clip or folder of frames, which gives a clip.",
)
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: IDENTITY.transfer.png in the working folder]",
)
@network_flag
@device_flag
@seed_flag
@project_flags(when(SOURCES, PHOTOS))
@cache_flag(when(SOURCES, PHOTOS))
@face_flag((OF_PHOTO,))
@flag(
    "--expression-face",
    type=click.IntRange(min=1),
    section=FACES,
    applies_to=(is_photo(EXPRESSION),),
    help="Number of the face in the expression's photo.  [default: the largest]",
)
@options_flags(TransferOptions, sections=dict.fromkeys(CHOICE, ROWS), also={"place": (OF_PHOTO,)})
@composite_flags(OF_PHOTO)
@rate_flag((when(EXPRESSION, FRAMES),))
@flag(
    "--strip/--no-strip", default=True, show_default=True, applies_to=(unless(EXPRESSION, CLIP, FRAMES),),
    help="Also write OUTPUT.strip.png: identity, expression, generated face, result.",
)  # fmt: skip
@report_flags
def transfer(report: Report, identity: Path, expression: Path, output: Path | None, **flags: Any) -> None:
    """Give the person in one photo the expression of another face, at the photo's full resolution.

    If the expression is a clip, the result is a clip with the same number of frames and the same sound.
    """
    facts = tell_sources(identity, expression)
    check_flags(facts)
    is_clip = facts[EXPRESSION] in (CLIP, FRAMES)
    options = build_options(TransferOptions, flags)
    placing = build_options(CompositeOptions, flags)
    project = build_project(flags, flags["seed"])
    target = output or default_output(identity, "transfer.mp4" if is_clip else "transfer.png")
    strip = target.with_name(f"{target.stem}.strip.png") if flags.pop("strip") and not is_clip else None
    _check_output(target, is_clip)
    check_outputs([target, strip], [identity, expression])

    from latentface import api
    from latentface.editing.expression_transfer import Transferrer

    began = time.perf_counter()
    with prepared_folder(target.parent), report.progress() as bar:
        generator = api.load_generator(flags["network"], flags["device"])
        finder = build_finder(report, bar, generator, options.place == "paste", project, flags)
        transferrer = Transferrer(finder, options, placing)
        if is_clip:
            told = _clip(report, transferrer, identity, expression, target, flags)
        else:
            told = _photo(report, transferrer, identity, expression, target, strip, flags)
    told |= {"network": flags["network"], "output": str(target), "options": asdict(options)}
    report.result({"command": "transfer", **told, "seconds": round(time.perf_counter() - began, 3), "exit_code": 0})


def tell_sources(identity: Path, expression: Path) -> dict[str, str]:
    """What the two sources are, as facts for `check_flags`."""
    kind = kind_of(expression)
    if expression.is_dir():
        kind = FRAMES
    elif kind == PHOTO and _moves(expression):
        kind = CLIP
    latents = {kind, kind_of(identity)} == {LATENT}
    return {IDENTITY: kind_of(identity), EXPRESSION: kind, SOURCES: LATENTS if latents else PHOTOS}


def _photo(
    report: Report,
    transferrer: Transferrer,
    identity: Path,
    expression: Path,
    target: Path,
    strip: Path | None,
    flags: dict[str, Any],
) -> dict[str, object]:
    from latentface.io.images import lost_metadata, write_image, write_photo
    from latentface.io.provenance import COMPOSITE, GENERATED

    made = transferrer.photo(identity, expression, face=flags["face"], expression_face=flags["expression_face"])
    report.notes(f"{target}: {text}" for text in lost_metadata(target, made.photo))
    write_photo(target, made.photo)
    if strip is not None:
        photos = made.identity.photo is not None or made.expression.photo is not None
        write_image(strip, make_strip(transferrer, made), source_type=COMPOSITE if photos else GENERATED)
    found = made.transfer
    layers = ", ".join(map(str, found.layers)) or "none"
    report.say(f"rows {layers} of the expression; objective {found.objective:.3f} -> {target}")
    return {
        "identity": _facts(identity, made.identity), "expression": _facts(expression, made.expression),
        "layers": found.layers, "weights": found.weights, "appearance": found.appearance,
        "expression_cost": found.expression, "objective": found.objective, "measured": found.measured,
        "strip": str(strip) if strip else None,
    }  # fmt: skip


def _clip(
    report: Report, transferrer: Transferrer, identity: Path, expression: Path, target: Path, flags: dict[str, Any]
) -> dict[str, object]:
    from latentface.io.clip import parse_rate
    from latentface.io.video import read_clip, write_clip

    rate = parse_rate(flags["rate"]) if flags["rate"] else None
    driver: Clip = read_clip(expression, rate)
    report.notes(driver.notes)
    face = transferrer.finder.face(identity, flags["face"], "the identity")
    clip, told, made = transferrer.clip(face, driver, str(expression))
    with report.progress() as bar:
        bar.start("transferring", driver.count or 0)

        def on_frame(count: int, frame: Frame) -> None:
            bar.step(count)

        written = write_clip(target, clip, on_frame=on_frame)
    report.notes(written.notes)
    if told.missing:
        report.note(f"{expression}: no face in {told.missing} of {told.frames} frames; they hold the one before")
    layers = ", ".join(map(str, made.layers)) or "none"
    report.say(f"{written.frames} frames, rows {layers} of the expression, sound {written.sound} -> {target}")
    return {
        "identity": _facts(identity, face), "expression": {"file": str(expression)}, "layers": made.layers,
        "frames": written.frames, "rate": str(clip.rate), "sound": written.sound, "missing": told.missing,
    }  # fmt: skip


def _facts(path: Path, face: Face) -> dict[str, object]:
    return {"file": str(path), **face_facts(face)}


def make_strip(transferrer: Transferrer, made: Result) -> Pixels:
    """Identity, expression, regenerated face and composite, as crops side by side: uint8 RGB."""
    from latentface import api
    from latentface.cli.panels import contact_sheet, enlarged
    from latentface.faces.alignment import crop_face

    side = max(256, made.transfer.image.shape[0])
    pictures = []
    for face in (made.identity, made.expression):
        drawn = api.synthesise(transferrer.generator, face.latent)[0]
        if face.photo is not None and face.crop is not None:
            drawn = crop_face(face.photo.rgb, face.crop.landmarks, side).image
        pictures.append(drawn)
    pictures.append(made.transfer.image)
    whole = made.photo.rgb
    if made.identity.crop is not None:
        whole = crop_face(whole, made.identity.crop.landmarks, side).image
    pictures.append(whole)
    return contact_sheet(
        [enlarged(picture, side) for picture in pictures], ["identity", "expression", "regenerated", "composite"], 4
    )


def _moves(path: Path) -> bool:
    """Whether a file is a clip: by its content, and before it is there by its name."""
    from latentface.io.images import PHOTO_SUFFIXES
    from latentface.io.kinds import picture_kind_of
    from latentface.io.video_reader import is_animation

    if picture_kind_of(path) is not None:
        return is_animation(path)
    return path.suffix.lower() not in PHOTO_SUFFIXES


def _check_output(target: Path, is_clip: bool) -> None:
    suffix = target.suffix.lower()
    if is_clip and suffix not in (*CLIPS, ".webp", ""):
        raise OutputError(
            f"{target}: the expression is a clip; end the name in {', '.join(CLIPS)}, .webp or in nothing"
        )
    if not is_clip and suffix not in PICTURES:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in {', '.join(PICTURES)}")
