"""`latentface sequence`: sequences of emotions, read from films, learnt, and predicted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Group, check_flags, flag
from latentface.cli.flags import (
    build_options,
    device_flag,
    face_flag,
    landmarks_flag,
    offline_flag,
    options_flags,
    rate_flag,
    report_flags,
    seed_flag,
)
from latentface.cli.outputs import check_outputs, prepared_folder
from latentface.cli.report import Report
from latentface.emotion import Emotion, EmotionSequence
from latentface.errors import InputError, NoFaceFound
from latentface.modes import when
from latentface.options.clips import ReadOptions

if TYPE_CHECKING:
    from latentface.emotions.recognition import Reading
    from latentface.emotions.resume_log import Journal
    from latentface.emotions.smoothing import Look

FILM, FILE, FRAMES = "the film", "a file", "a folder of frames"
output_flag = flag("-o", "--output", type=click.Path(path_type=Path), default=Path("emotions.json"),
                           show_default=True, help="JSON file of emotions to write.")  # fmt: skip

#: What the law asks of those who use it, said once in every run (AI Act, Regulation (EU) 2024/1689, articles 5 and 50).
INFORM = (
    "in the EU, people whose emotions are read must be told (AI Act, article 50), and reading them at work or in "
    "education is forbidden (article 5)"
)


@click.group(cls=Group, short_help="Read, learn and predict sequences of emotions.")
def sequence() -> None:
    """Sequences of emotions for `latentface video`: read from films, learnt from those, and predicted."""


@sequence.command(short_help="Read the emotions of the face in a film.")
@click.argument("film", type=click.Path(path_type=Path))
@output_flag
@flag(
    "--recogniser", default="emotion", show_default=True,
    help="Emotion classifier: the built-in network, a file, or your own code as module:NAME or FILE.py:NAME.",
)  # fmt: skip
@options_flags(ReadOptions)
@face_flag(default="whoever is seen, one after another")
@landmarks_flag()
@rate_flag((when(FILM, FRAMES),))
@flag("--keep-looks", is_flag=True, help="Keep every single reading in a file beside OUTPUT that ends in .looks.jsonl.")
@device_flag
@offline_flag
@report_flags
def read(report: Report, film: Path, output: Path, **flags: Any) -> None:
    """Read the emotions that the face in FILM shows: a video, an animated picture, or a folder of frames.

    The face is tracked and classified several times a second; a stretch without a face counts as neutral. Memory does
    not grow with the length of the film. After an interruption the same command continues where it stopped. If the film
    is damaged, the part before the damage is written and the exit code is 3.
    """
    from latentface import api
    from latentface.emotions.resume_log import Journal
    from latentface.io import video
    from latentface.io.kept_frames import film_facts

    check_flags({FILM: FRAMES if film.is_dir() else FILE})
    check_outputs([output], [film])
    options = build_options(ReadOptions, flags)
    clip = video.read_clip(film, rate=flags["rate"])
    recogniser = api.find_recogniser(flags["recogniser"], flags["device"])
    facts = {
        "looks": options.looks, "rate": str(clip.rate), "recogniser": flags["recogniser"],
        "landmarks": flags["landmarks"], "face": str(flags["face"]),
    }  # fmt: skip
    with (
        prepared_folder(output.parent),
        Journal(output.with_suffix(".looks.jsonl"), film_facts(film) | facts) as journal,
        report.progress() as bar,
    ):
        report.note(INFORM)
        _say_state(report, journal)
        bar.start("reading", round(clip.count / float(clip.rate) * options.looks) if clip.count else 0)

        def on_look(count: int, look: Look) -> None:
            bar.step(count)

        try:
            reading = api.read_emotions(
                clip, recogniser, options, landmarks=flags["landmarks"], journal=journal, keep_partial=True,
                on_look=on_look, face=flags["face"],
            )  # fmt: skip
        except (KeyboardInterrupt, SystemExit):
            report.note(f"{journal.count} readings are kept in {journal.path}; the same command continues from there")
            raise
        except NoFaceFound as error:
            journal.remove()
            raise NoFaceFound(f"{film}: {error}") from None
        except InputError:
            if not journal.count:
                journal.remove()  # nothing was read that could be continued
            raise
    reading.sequence.save(output)
    if not flags["keep_looks"]:
        journal.remove()
    _tell_reading(report, film, output, flags["recogniser"], reading)


def _say_state(report: Report, journal: Journal) -> None:
    if journal.damaged is not None:
        report.note(f"{journal.path}: line {journal.damaged} is damaged; the frames from there on are classified again")
    if journal.last is not None:
        report.note(
            f"continuing at {float(journal.last.time):.1f} s with the {journal.count} readings in {journal.path}"
        )
    elif journal.replaced:
        report.note(f"{journal.path} was made from another film or with other options; starting again")


def _tell_reading(report: Report, film: Path, output: Path, recogniser: str, reading: Reading) -> None:
    tally, found = reading.tally, reading.sequence
    if tally.damage:
        raise InputError(f"{tally.damage}; the part before ({found.duration:.2f} s) is in {output}")
    report.say(f"{_summary(found)}; a face in {tally.faces} of {tally.looks} frames -> {output}")
    report.result(
        {
            "command": "sequence read", "film": str(film), "output": str(output), "recogniser": recogniser,
            "looks": tally.looks, "faces": tally.faces, "tracks": tally.tracks, "segments": len(found.segments),
            "seconds": round(found.duration, 3), "shares": _shares(found), "exit_code": 0,
        }
    )  # fmt: skip


@sequence.command(short_help="Learn the order of emotions from sequences that were read.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@flag("-o", "--output", type=click.Path(path_type=Path), default=Path("rhythm.safetensors"), show_default=True,
              help="Network file to write, for `sequence predict --model`.")  # fmt: skip
@flag("--steps", type=click.IntRange(min=1), default=1000, show_default=True, help="Number of training steps.")
@seed_flag
@report_flags
def fit(report: Report, files: tuple[Path, ...], output: Path, steps: int, seed: int) -> None:
    """Learn which emotion follows, for how long and how strongly, from FILES that `sequence read` wrote.

    At least 100 segments are needed. Part of them is held out, and how well the network predicts that part is reported
    beside a first-order Markov chain. After an interruption the same command continues; its state is in OUTPUT.run.
    """
    from dataclasses import replace

    from latentface.io.atomic import atomic_path
    from latentface.training.rhythm import FEW_OPTIONS, fit

    check_outputs([output], files)
    sequences = [EmotionSequence.load(path) for path in files]
    run = output.with_name(f"{output.name}.run")
    with prepared_folder(output.parent), report.progress() as bar:
        bar.start("learning", steps)
        fitted = fit(sequences, run, replace(FEW_OPTIONS, steps=steps, seed=seed), on_step=bar.step)
        with atomic_path(output) as temporary:
            shutil.copyfile(fitted.path, temporary)
    shutil.rmtree(run)
    ours, chain = fitted.figures["perplexity"], fitted.chain["perplexity"]
    report.say(
        f"{fitted.segments} segments in {fitted.sequences} sequences; on {fitted.judged} held-out segments "
        f"the perplexity of the next emotion is {ours:.2f}, that of a Markov chain {chain:.2f} -> {output}"
    )
    if not fitted.beats_chain:
        report.note(
            "it predicts no better than a Markov chain: the sequences depend only on the last emotion, or are too few"
        )
    report.result(
        {
            "command": "sequence fit", "files": [str(path) for path in files], "output": str(output),
            "segments": fitted.segments, "judged": fitted.judged, "figures": fitted.figures, "chain": fitted.chain,
            "beats_chain": fitted.beats_chain, "exit_code": 0,
        }
    )  # fmt: skip


@sequence.command(short_help="Predict a sequence of emotions.")
@output_flag
@flag(
    "--first", "--start", "first", default="neutral", show_default=True, help="Emotion that the sequence begins with."
)
@flag(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="Length of the sequence in seconds.",
)
@flag(
    "--temperature", type=click.FloatRange(0, 10), default=1.0, show_default=True,
    help="Variety: below 1 favours the likeliest emotions, 0 always takes the likeliest, above 1 varies more.",
)  # fmt: skip
@flag("--model", default="rhythm", show_default=True, help="The built-in network, or a file that `sequence fit` wrote.")
@seed_flag
@report_flags
def predict(report: Report, output: Path, first: str, seconds: float, **flags: Any) -> None:
    """Predict emotions in a natural order, with durations and strengths; the same seed gives the same sequence."""
    begin = Emotion.of(first)
    from latentface import api

    drawn = api.predict_emotions(begin, seconds, flags["seed"], flags["temperature"], flags["model"])
    with prepared_folder(output.parent):
        drawn.save(output)
    report.say(f"{_summary(drawn)} -> {output}")
    report.result(
        {
            "command": "sequence predict", "output": str(output), "start": begin.value, "seed": flags["seed"],
            "temperature": flags["temperature"], "model": flags["model"], "segments": len(drawn.segments),
            "seconds": round(drawn.duration, 3), "shares": _shares(drawn), "exit_code": 0,
        }
    )  # fmt: skip


def _shares(found: EmotionSequence) -> dict[str, float]:
    """The share of time of each emotion that occurs, the largest first."""
    seconds = {emotion: 0.0 for emotion in Emotion}
    for segment in found.segments:
        seconds[segment.emotion] += segment.duration
    there = sorted((emotion for emotion in Emotion if seconds[emotion]), key=lambda emotion: -seconds[emotion])
    return {emotion.value: round(seconds[emotion] / found.duration, 4) for emotion in there}


def _summary(found: EmotionSequence) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in _shares(found).items())
    return f"{found.duration:.1f} s, {len(found.segments)} segments: {shares}"
