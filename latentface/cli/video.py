"""`latentface video`: the face of a photo shows a sequence of emotions."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Command, check_flags, flag, was_given
from latentface.cli.flags import (
    build_finder,
    build_options,
    build_project,
    composite_flags,
    device_flag,
    finder_flags,
    is_photo,
    keep_partial_flag,
    kind_of,
    load_style,
    network_flag,
    options_flags,
    rate_flag,
    report_flags,
    style_flag,
)
from latentface.cli.outputs import check_outputs, default_output, prepared_folder, write_film
from latentface.cli.publishing import build_publisher, provenance_flags
from latentface.cli.report import Report, face_facts
from latentface.emotion import Emotion, EmotionSequence
from latentface.errors import OutputError, UsageError
from latentface.modes import either, when
from latentface.options.clips import SequenceOptions, VideoOptions
from latentface.options.photos import CompositeOptions

if TYPE_CHECKING:
    pass

KINDS = (".mp4", ".webm", ".gif", ".webp", "")
SCRIPTS = ("emotions", "sequence", "predict", "like")


SOURCE, FILM = "the source", "the film of --like"
NO_FILM, FILE, FRAMES = "none", "a file", "a folder of frames"
OF_PHOTO = is_photo(SOURCE)


@click.command(cls=Command, short_help="Make a clip in which the face of a photo shows emotions.")
@click.argument("source", type=click.Path(path_type=Path))
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: SOURCE.video.mp4 in the working folder]",
)
@flag("--emotions", help="Emotions and their strengths, such as happiness,surprise=1.5,neutral; each takes 2 seconds.")
@flag("--sequence", type=click.Path(path_type=Path), help="JSON file of emotions, as `latentface sequence` writes it.")
@flag("--predict", is_flag=True, help="Predict a sequence of emotions.")
@flag(
    "--first", default="neutral", show_default=True, applies_to=(when("predict", True),),
    help="The emotion that the predicted sequence begins with.",
)  # fmt: skip
@flag("--like", type=click.Path(path_type=Path), help="Use the emotions that the face in this film shows.")
@rate_flag((when(FILM, FRAMES),))
@flag(
    "--seconds", type=click.FloatRange(min=0, min_open=True),
    help="Length of the clip in seconds.  [default: that of the sequence; 10 with --predict]",
)  # fmt: skip
@network_flag
@device_flag
@options_flags(SequenceOptions)
@options_flags(VideoOptions, also={"place": (OF_PHOTO,), "crop": (OF_PHOTO,)})
@composite_flags(OF_PHOTO)
@finder_flags(OF_PHOTO, landmarks=(either(OF_PHOTO, when(FILM, FILE, FRAMES)),))
@style_flag()
@keep_partial_flag()
@provenance_flags()
@report_flags
def video(report: Report, source: Path, output: Path | None, **flags: Any) -> None:
    """Make a clip in which the face of a photo, or of a latent file, shows one emotion after another.

    Choose the emotions with one of --emotions, --sequence, --predict and --like. The rest of the photo stays as it is.
    """
    check_script(flags)
    like = flags["like"]
    check_flags({SOURCE: kind_of(source), FILM: NO_FILM if like is None else FRAMES if like.is_dir() else FILE})
    flags["crop"] = flags["crop"] or flags["style"] is not None
    options, drawing = build_options(SequenceOptions, flags), build_options(VideoOptions, flags)
    placing, project = build_options(CompositeOptions, flags), build_project(flags, options.seed)
    flags["seed"] = options.seed
    target = output or default_output(source, "video.mp4")
    if target.suffix.lower() not in KINDS:
        raise OutputError(f"{target}: cannot write this kind of clip; end the name in {', '.join(KINDS[:-1])}")
    check_outputs([target], [source, like, flags["sequence"]])
    publisher = build_publisher(report, "video", flags, [source], {**asdict(options), **asdict(drawing)})
    sequence = choose_sequence(flags, options.seed)

    from latentface import api
    from latentface.editing.expression_video import perform
    from latentface.editing.stylisation import dressed

    began = time.perf_counter()
    with prepared_folder(target.parent), report.progress() as bar:
        generator = api.load_generator(flags["network"], flags["device"])
        pasted = drawing.place == "paste" and not drawing.crop
        style = load_style(flags["style"], generator)
        finder = build_finder(report, bar, generator, pasted or style is not None, project, flags)
        face = finder.face(source, flags["face"])
        if style is not None:
            face = dressed(face, style)
        shown = perform(face, sequence, generator, options, drawing, placing, report.note)
        written = write_film(
            bar, "drawing", target, shown.clip, publisher, count=shown.count, keep_partial=flags["keep_partial"]
        )
    frames = written.frames
    report.notes(written.notes)
    seconds = time.perf_counter() - began
    report.say(f"{frames} frames, {sequence.duration:g} s of {_words(sequence)} -> {target} ({seconds:.1f} s)")
    report.result(
        {
            "command": "video", "source": str(source), **face_facts(face), "output": str(target),
            "network": flags["network"], "frames": frames, "rate": str(shown.rate), "size": shown.clip.size,
            "sequence": [{**asdict(segment), "emotion": segment.emotion.value} for segment in sequence.segments],
            "options": asdict(options), "seconds": round(seconds, 3), "exit_code": 0,
        }
    )  # fmt: skip


def check_script(flags: dict[str, Any]) -> None:
    """Raise UsageError unless exactly one option chooses the emotions."""
    given = [name for name in SCRIPTS if flags[name]]
    if len(given) != 1:
        came = " and ".join(f"--{name}" for name in given) or "none"
        raise UsageError(f"which emotions? expected one of --{', --'.join(SCRIPTS)}; got {came}")
    if was_given("start") and flags["start"].lower() in {emotion.value for emotion in Emotion}:
        raise UsageError(f"--start says where a projection begins; the first emotion is --first {flags['start']}")


def choose_sequence(flags: dict[str, Any], seed: int) -> EmotionSequence:
    """The emotions chosen by one of the options, lasting --seconds."""
    seconds: float | None = flags["seconds"]
    if flags["predict"]:
        from latentface import api

        return api.predict_emotions(Emotion.of(flags["first"]), seconds or 10.0, seed)
    if flags["emotions"]:
        found = EmotionSequence.of(flags["emotions"])
    elif flags["sequence"]:
        found = EmotionSequence.load(flags["sequence"])
    else:
        from latentface import api
        from latentface.io.video import read_clip

        film = read_clip(flags["like"], flags["rate"])
        found = api.read_emotions(film, landmarks=flags["landmarks"]).sequence
    return found.lasting(seconds) if seconds else found


def _words(sequence: EmotionSequence) -> str:
    names = [segment.emotion.value for segment in sequence.segments]
    return ", ".join(names if len(names) <= 8 else [*names[:7], f"and {len(names) - 7} more"])
