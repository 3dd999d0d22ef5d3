"""`latentface transfer`: a photo with the expression of another photo, or of every frame of a clip."""

from __future__ import annotations

import time
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
    rate_flag,
    report_flags,
    seed_flag,
)
from latentface.cli.report import Report, face_facts
from latentface.errors import OutputError
from latentface.options import CompositeOptions, TransferOptions

if TYPE_CHECKING:
    from latentface.arrays import Pixels
    from latentface.editing.expression_transfer import Result, Transferrer
    from latentface.editing.inverted_face import Face
    from latentface.io.clip import Clip, Frame

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
CLIPS = (".mp4", ".webm", ".gif")


@click.command(short_help="Give a face the expression of another.")
@click.option("--identity", required=True, type=click.Path(path_type=Path), help="Photo or latent file of the person.")
@click.option(
    "--expression",
    required=True,
    type=click.Path(path_type=Path),
    help="Photo or latent file with the expression; or a clip, or a folder of frames: one output a frame.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=None, help="[default: IDENTITY.transfer.png]")
@network_flag
@device_flag
@seed_flag
@finder_flags()
@click.option(
    "--expression-face",
    type=click.IntRange(min=1),
    default=None,
    help="Which face of the other.  [default: the largest]",
)
@options_flags(TransferOptions)
@options_flags(CompositeOptions)
@rate_flag
@click.option("--strip/--no-strip", default=True, show_default=True, help="Also write OUTPUT.strip.png.")
@report_flags
def transfer(report: Report, identity: Path, expression: Path, output: Path | None, **flags: Any) -> None:
    """Rewrite the face of the identity's photo with another's expression, at the photo's full resolution.

    Writes the photo and a strip: identity, expression, regenerated face, composite. With a clip as the expression it
    writes a clip, with the sound, one frame for each of its frames.
    """
    options = build_options(TransferOptions, flags)
    placing = build_options(CompositeOptions, flags)
    is_clip = expression.is_dir() or (
        expression.suffix.lower() not in (*PICTURES, ".safetensors") and _moves(expression)
    )
    target = output or identity.with_name(f"{identity.stem}.transfer{'.mp4' if is_clip else '.png'}")
    _check_output(target, is_clip)

    from latentface import api
    from latentface.cli.outputs import prepared_folder
    from latentface.editing.expression_transfer import Transferrer

    began = time.perf_counter()
    with prepared_folder(target.parent), report.progress() as bar:
        generator = api.load_generator(flags["network"], flags["device"])
        finder = build_finder(report, bar, generator, options.place == "paste", flags["seed"], flags)
        transferrer = Transferrer(finder, options, placing)
        job = _clip if is_clip else _photo
        facts = job(report, transferrer, identity, expression, target, flags)
    facts |= {"network": flags["network"], "output": str(target), "options": asdict(options)}
    report.result({"command": "transfer", **facts, "seconds": round(time.perf_counter() - began, 3), "exit_code": 0})


def _photo(
    report: Report, transferrer: Transferrer, identity: Path, expression: Path, target: Path, flags: dict[str, Any]
) -> dict[str, object]:
    from latentface.io.images import write_image

    made = transferrer.photo(identity, expression, face=flags["face"], expression_face=flags["expression_face"])
    photo = made.photo
    write_image(target, photo.rgb, alpha=photo.alpha, exif=photo.exif, icc=photo.icc)
    strip = None
    if flags["strip"]:
        strip = target.with_name(f"{target.stem}.strip.png")
        write_image(strip, make_strip(transferrer, made))
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
    face = transferrer.finder.face(identity, flags["face"], "the identity")
    clip, told, made = transferrer.clip(face, driver, str(expression))
    with report.progress() as bar:
        bar.start("transferring", driver.count or 0)

        def on_frame(count: int, frame: Frame) -> None:
            bar.step(count)

        written = write_clip(target, clip, source_type="compositeWithTrainedAlgorithmicMedia", on_frame=on_frame)
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
    """Whether a file is a clip: anything that is not a still picture."""
    from latentface.io.images import PHOTO_SUFFIXES

    if path.suffix.lower() not in (*PHOTO_SUFFIXES, ".safetensors"):
        return True
    return path.suffix.lower() == ".gif" and path.exists()


def _check_output(target: Path, is_clip: bool) -> None:
    suffix = target.suffix.lower()
    if is_clip and suffix not in (*CLIPS, ".webp", ""):
        raise OutputError(
            f"{target}: the expression is a clip; end the name in {', '.join(CLIPS)}, .webp or in nothing"
        )
    if not is_clip and suffix not in PICTURES:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in {', '.join(PICTURES)}")
