"""`latentface edit` and `transfer` for clips: the face is tracked and changed in every frame."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentface._version import __version__
from latentface.cli.changes import read_keyframes
from latentface.cli.flags import CLIP, FRAMES, build_options, kind_of_any
from latentface.cli.outputs import check_outputs, default_output, prepared_folder, write_film
from latentface.cli.publishing import build_publisher
from latentface.cli.report import Report
from latentface.errors import LatentfaceError, OutputError
from latentface.io.kept_frames import film_facts
from latentface.options.clips import ClipOptions

if TYPE_CHECKING:
    from latentface.editing.clip_edit import ChangeOver
    from latentface.io.clip import Clip
    from latentface.io.kept_frames import KeptFrames
    from latentface.provenance.publish import Publisher

KINDS = (".mp4", ".webm", ".gif", ".webp", "")


def edit_clip(
    report: Report, source: Path, output: Path | None, changes: Mapping[str, float], flags: dict[str, Any]
) -> None:
    """Edit a clip with the options of `latentface edit`, and report."""
    target = output or default_output(source, "edit.mp4")
    keyframes = read_keyframes(changes, flags["keys"], flags["curves"])
    check_outputs([target, flags["save_preset"]], [source, flags["preset"], flags["curves"]])

    from latentface.editing.clip_edit import change_by_name
    from latentface.head.control_names import parse_parts

    change = change_by_name(keyframes, parse_parts(flags["only"]))
    publisher = build_publisher(report, "edit", flags, [source], {"set": dict(keyframes.constant)})
    facts = {"set": keyframes.constant, "keys": keyframes.keys, "only": flags["only"]}
    told = _change(report, source, target, change, flags, ", ".join(keyframes.names), facts, publisher)
    if flags["save_preset"]:
        from latentface.cli.presets import save_preset

        save_preset(flags["save_preset"], dict(changes))
    keys = {name: list(keys) for name, keys in keyframes.keys.items()}
    report.result({"command": "edit", **told, "set": dict(keyframes.constant), "keys": keys, "exit_code": 0})


def transfer_to_clip(
    report: Report, identity: Path, expression: Path, output: Path | None, flags: dict[str, Any]
) -> None:
    """Give a clip's face the expression of a photo or another clip with the options of `transfer`, and report."""
    target = output or default_output(identity, "transfer.mp4")
    check_outputs([target], [identity, expression])

    change = _expression_of(report, expression, flags)
    settings = {"strength": flags["strength"], "only": flags["only"]}
    publisher = build_publisher(report, "transfer", flags, [identity, expression], settings)
    theirs = {"theirs": film_facts(expression), "their_face": str(flags["expression_face"])}
    what = f"the expression of {expression.name}"
    told = _change(report, identity, target, change, flags, what, settings | theirs, publisher)
    report.result({"command": "transfer", **told, "expression": str(expression), "exit_code": 0})


def _expression_of(report: Report, expression: Path, flags: dict[str, Any]) -> ChangeOver:
    """The change to the expression in a photo, or to that of another clip's frames."""
    from latentface.editing.clip_edit import change_by_clip, change_to_expression
    from latentface.head.control_names import parse_parts

    strength, only = flags["strength"], parse_parts(flags["only"])
    if kind_of_any(expression) in (CLIP, FRAMES):
        clip = _open(report, expression, flags)
        return change_by_clip(clip, strength, only, flags["landmarks"], flags["expression_face"])

    from latentface import api
    from latentface.cli.faces import find_faces
    from latentface.faces.crop import pick_face
    from latentface.io.colour import srgb
    from latentface.io.images import read_photo

    photo, faces = find_faces(expression, srgb(read_photo(expression)), flags["landmarks"], report)
    theirs = api.fit_head(pick_face(faces, flags["expression_face"], str(expression)), photo.rgb)
    return change_to_expression(theirs, strength, only)


def _open(report: Report, path: Path, flags: dict[str, Any]) -> Clip:
    """A clip or a folder of frames, its notes reported."""
    from latentface.io.video import read_clip

    clip = read_clip(path, flags["rate"])
    report.notes(clip.notes)
    return clip


def _change(
    report: Report,
    source: Path,
    target: Path,
    change: ChangeOver,
    flags: dict[str, Any],
    what: str,
    facts: Mapping[str, object],
    publisher: Publisher,
) -> dict[str, object]:
    """Change the face of a clip and write it; returns the facts to report.

    facts: what the change is, so that no frame of another change is taken for one of an interrupted run.
    """
    if target.suffix.lower() not in KINDS:
        raise OutputError(
            f"{target}: the result is a clip; end the name in {', '.join(KINDS[:-1])}, or give it no suffix"
        )
    options: ClipOptions = build_options(ClipOptions, flags)

    from latentface.editing.clip_edit import edit_clip

    began = time.perf_counter()
    clip = _open(report, source, flags)
    how = {name: str(flags[name]) for name in ("face", "landmarks")} | {"options": asdict(options)}
    whole = {**film_facts(source), **how, **facts, "rate": str(clip.rate), "version": __version__}
    with prepared_folder(target.parent), keeping_frames(report, target, whole) as kept:
        made = edit_clip(
            clip, change, options, face=flags["face"], landmarks=flags["landmarks"], name=str(source),
            note=report.note, kept=kept,
        )  # fmt: skip
        film = made.clip if flags.get("sound", True) else replace(made.clip, sound=None)
        with report.progress() as bar:
            written = write_film(bar, "editing", target, film, publisher, keep_partial=flags.get("keep_partial", False))
        report.notes(written.notes)
    left = made.report.untouched
    if left:
        report.note(
            f"{source}: {left} of {written.frames} frames show no face that can be edited; they stay as they are"
        )
    seconds = time.perf_counter() - began
    report.say(f"{written.frames} frames: {what} -> {target} ({seconds:.1f} s)")
    return {
        "source": str(source), "output": str(target), "frames": written.frames, "rate": str(clip.rate),
        "sound": written.sound, "untouched": left, "options": asdict(options), "seconds": round(seconds, 3),
    }  # fmt: skip


@contextmanager
def keeping_frames(report: Report, target: Path, facts: Mapping[str, object]) -> Iterator[KeptFrames]:
    """The finished frames in TARGET.run, from which the same command goes on after an interruption."""
    from latentface.io.kept_frames import KeptFrames

    with KeptFrames(target.with_name(f"{target.name}.run") / "frames", facts) as kept:
        if kept.found:
            report.note(f"continuing after {kept.found} frames that are kept in {kept.path.parent}")
        elif kept.replaced:
            report.note(f"{kept.path.parent} was made from another clip or with other options; starting again")
        try:
            yield kept
        except (KeyboardInterrupt, SystemExit, OutputError):
            report.note(f"{kept.count} frames are kept in {kept.path.parent}; the same command continues from there")
            raise
        except LatentfaceError:  # the same command would end in the same way
            kept.remove()
            raise
        kept.remove()
