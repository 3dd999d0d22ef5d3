"""`latentface transfer`: a photo or a clip with the expression of a photo, or a photo with that of a clip's frames."""

from __future__ import annotations

import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import CLIPS, FACES, ROWS, Command, check_flags, flag
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
    kind_of_any,
    network_flag_for,
    options_flags,
    project_flags,
    rate_flag,
    report_flags,
    seed_flag_for,
)
from latentface.cli.outputs import check_outputs, default_output, prepared_folder, write_film
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report, face_facts
from latentface.cli.who import Who
from latentface.errors import OutputError, UsageError
from latentface.modes import either, unless, when
from latentface.options.clips import ClipOptions
from latentface.options.photos import CompositeOptions, TransferOptions

if TYPE_CHECKING:
    from latentface.arrays import Pixels
    from latentface.editing.expression_transfer import Result, Transferrer
    from latentface.editing.inverted_face import Face
    from latentface.io.clip import Clip
    from latentface.provenance.publish import Publisher

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
KINDS = (".mp4", ".webm", ".gif")


IDENTITY, EXPRESSION, SOURCES = "the identity", "the expression", "the sources"
PHOTOS, LATENTS, TO_CLIP = "photos or clips", "two latents", "a clip and a photo"
CHOICE = ("most_layers", "exact_layers", "contiguous", "keep", "finest", "solver", "time_limit", "rounds")
OF_PHOTO = is_photo(IDENTITY)
OF_CLIP, STILL = when(IDENTITY, CLIP, FRAMES), when(IDENTITY, PHOTO, LATENT)
#: Conditions of the fields of `TransferOptions` that do not apply to the face in a clip.
FIELDS = {spec.name: (STILL,) for spec in fields(TransferOptions) if spec.name not in ("strength", "only")} | {
    "place": (OF_PHOTO,)
}


@click.command(cls=Command, short_help="Give the face in a photo or a clip the expression of another.")
@flag(
    "--identity",
    required=True,
    type=click.Path(path_type=Path),
    help="Photo, clip or latent file of the person who is to change.",
)
@flag(
    "--expression",
    required=True,
    type=click.Path(path_type=Path),
    help="Photo, clip, folder of frames or latent file that shows the expression; a clip or frames give a clip.",
)
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: IDENTITY.transfer.png in the working folder]",
)
@network_flag_for((STILL,))
@device_flag_for((STILL,))
@seed_flag_for((STILL,))
@project_flags(when(SOURCES, PHOTOS), landmarks=(unless(SOURCES, LATENTS),))
@cache_flag(when(SOURCES, PHOTOS))
@face_flag((unless(IDENTITY, LATENT),))
@flag(
    "--expression-face",
    "--expression-who",
    type=Who(),
    section=FACES,
    applies_to=(unless(EXPRESSION, LATENT),),
    help="Whose face in the expression's photo or clip, as --face says it.  [default: the largest]",
)
@options_flags(TransferOptions, sections=dict.fromkeys(CHOICE, ROWS), also=FIELDS)
@options_flags(ClipOptions, CLIPS, also=(OF_CLIP,))
@composite_flags(OF_PHOTO)
@rate_flag((either(when(EXPRESSION, FRAMES), when(IDENTITY, FRAMES)),), CLIPS)
@flag(
    "--strip/--no-strip", default=True, show_default=True, applies_to=(unless(EXPRESSION, CLIP, FRAMES), STILL),
    help="Also write OUTPUT.strip.png: identity, expression, generated face, result.",
)  # fmt: skip
@provenance_flags()
@report_flags
def transfer(report: Report, identity: Path, expression: Path, output: Path | None, **flags: Any) -> None:
    """Give the person in one photo the expression of another face, at the photo's full resolution.

    Besides the result, a strip shows identity, expression, generated face and result side by side. If the expression
    is a clip, the result is a clip with one frame for each of its frames, and with its sound. If the identity is a
    clip, its face is tracked and gets the expression of the photo, or of the other clip's frames; with --mode relative
    its own speech and blinks go on under it.
    """
    facts = tell_sources(identity, expression)
    check_flags(facts)
    if facts[IDENTITY] in (CLIP, FRAMES):
        if facts[EXPRESSION] == LATENT:
            raise UsageError(f"{expression}: a clip's face gets the expression of a photo or a clip, not of a latent")
        from latentface.cli.edit_clip import transfer_to_clip

        transfer_to_clip(report, identity, expression, output, flags)
        return
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

    publisher = build_publisher(report, "transfer", flags, [identity, expression], asdict(options))
    began = time.perf_counter()
    with prepared_folder(target.parent), report.progress() as bar:
        generator = api.load_generator(flags["network"], flags["device"])
        finder = build_finder(report, bar, generator, options.place == "paste", project, flags)
        transferrer = Transferrer(finder, options, placing)
        if is_clip:
            told = _clip(report, transferrer, identity, expression, target, flags, publisher)
        else:
            told = _photo(report, transferrer, identity, expression, target, strip, flags, publisher)
    told |= {"network": flags["network"], "output": str(target), "options": asdict(options)}
    report.result({"command": "transfer", **told, "seconds": round(time.perf_counter() - began, 3), "exit_code": 0})


def tell_sources(identity: Path, expression: Path) -> dict[str, str]:
    """The kinds of the two sources, as facts for `check_flags`."""
    kind = kind_of_any(expression)
    person = kind_of_any(identity)
    sources = LATENTS if {kind, person} == {LATENT} else TO_CLIP if person in (CLIP, FRAMES) else PHOTOS
    return {IDENTITY: person, EXPRESSION: kind, SOURCES: sources}


def _photo(
    report: Report,
    transferrer: Transferrer,
    identity: Path,
    expression: Path,
    target: Path,
    strip: Path | None,
    flags: dict[str, Any],
    publisher: Publisher,
) -> dict[str, object]:
    from latentface.io.images import Photo, lost_metadata
    from latentface.io.provenance import COMPOSITE, GENERATED

    made = transferrer.photo(identity, expression, face=flags["face"], expression_face=flags["expression_face"])
    report.notes(f"{target}: {text}" for text in lost_metadata(target, made.photo))
    photos = made.identity.photo is not None or made.expression.photo is not None
    panels = None if strip is None else make_strip(transferrer, made)
    made = replace(made, expression=replace(made.expression, photo=None))  # large ones take much memory
    publisher.photo(target, made.photo, made.identity.photo, made.identity.crop)
    if strip is not None and panels is not None:
        publisher.sheet(strip, Photo(panels, source_type=COMPOSITE if photos else GENERATED))
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
    report: Report,
    transferrer: Transferrer,
    identity: Path,
    expression: Path,
    target: Path,
    flags: dict[str, Any],
    publisher: Publisher,
) -> dict[str, object]:
    from latentface.io.video import read_clip

    driver: Clip = read_clip(expression, flags["rate"])
    report.notes(driver.notes)
    face = transferrer.finder.face(identity, flags["face"], "the identity")
    clip, told, made = transferrer.clip(face, driver, str(expression), flags["expression_face"])
    with report.progress() as bar:
        written = write_film(bar, "transferring", target, clip, publisher)
    report.notes(written.notes)
    if told.missing:
        report.note(
            f"{expression}: no face in {told.missing} of {told.frames} frames; they repeat the previous expression"
        )
    layers = ", ".join(map(str, made.layers)) or "none"
    report.say(f"{written.frames} frames, rows {layers} of the expression, sound {written.sound} -> {target}")
    return {
        "identity": _facts(identity, face), "expression": {"file": str(expression)}, "layers": made.layers,
        "frames": written.frames, "rate": str(clip.rate), "sound": written.sound, "missing": told.missing,
    }  # fmt: skip


def _facts(path: Path, face: Face) -> dict[str, object]:
    return {"file": str(path), **face_facts(face)}


def make_strip(transferrer: Transferrer, made: Result) -> Pixels:
    """Identity, expression, regenerated face and composite, as crops side by side: uint8 RGB in sRGB."""
    from latentface import api
    from latentface.cli.panels import contact_sheet, enlarged
    from latentface.faces.alignment import crop_face
    from latentface.io.colour import convert

    side = max(256, made.transfer.image.shape[0])
    pictures = []
    for face in (made.identity, made.expression):
        drawn = api.synthesise(transferrer.generator, face.latent)[0]
        if face.photo is not None and face.crop is not None:
            drawn = convert(crop_face(face.photo.rgb, face.crop.landmarks, side).image, face.photo.icc)
        pictures.append(drawn)
    pictures.append(made.transfer.image)
    whole = made.photo.rgb
    if made.identity.crop is not None:
        whole = convert(crop_face(whole, made.identity.crop.landmarks, side).image, made.photo.icc)
    pictures.append(whole)
    return contact_sheet(
        [enlarged(picture, side) for picture in pictures], ["identity", "expression", "regenerated", "composite"], 4
    )


def _check_output(target: Path, is_clip: bool) -> None:
    suffix = target.suffix.lower()
    if is_clip and suffix not in (*KINDS, ".webp", ""):
        raise OutputError(
            f"{target}: the expression is a clip; end the name in {', '.join(KINDS)} or .webp, or give it no suffix"
        )
    if not is_clip and suffix not in PICTURES:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in {', '.join(PICTURES)}")
