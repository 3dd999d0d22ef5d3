"""What a process of a batch does: one command on one input, in a folder of its own, whose files are then delivered."""

from __future__ import annotations

import io
import json
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from latentface.batch.jobs import Job, Outcome
from latentface.batch.places import deliver, digest, fetched, working_folder
from latentface.errors import LatentfaceError


@dataclass(frozen=True)
class Verb:
    """How a command is used in a batch.

    Attributes:
        source: words before the input on its command line: none for an argument, the flag for an option.
        parameter: the input's name among the command's parameters.
        ending: of the results' names before the suffix; empty where the command names its results.
        suffix: of results; empty for that of a picture or a clip, as the input has it.
        photos, clips: what folders are searched for.
    """

    source: tuple[str, ...]
    parameter: str
    ending: str = ""
    suffix: str = ""
    photos: bool = True
    clips: bool = False


VERBS: Final = {
    "animate": Verb(("--source",), "source", "animate", ".mp4"),
    "check": Verb((), "clips", "check", ".json", photos=False, clips=True),
    "edit": Verb((), "source", "edit", clips=True),
    "project": Verb((), "photos"),
    "transfer": Verb(("--identity",), "identity", "transfer", clips=True),
    "translate": Verb((), "source", "translate"),
    "video": Verb((), "source", "video", ".mp4"),
}


def work(job: Job) -> Outcome:
    """Do a job: its command, as if it were typed. Errors that can be explained become the outcome's message."""
    began = time.perf_counter()
    outcome = Outcome(job, "", (), 0.0)
    try:
        with fetched(job.source) as source, working_folder(job) as folder:
            outcome = replace(outcome, sha256=digest(source))
            target = folder / job.name if job.name else folder
            code, message = _call([job.verb, *job.words, *VERBS[job.verb].source, str(source), "-o", str(target)])
            files = () if code else deliver(folder, job)
            outcome = replace(outcome, files=files, exit_code=code, message=_without(message, source, job))
    except LatentfaceError as error:
        outcome = replace(outcome, exit_code=error.exit_code, message=str(error))
    return replace(outcome, seconds=round(time.perf_counter() - began, 3))


def _call(words: list[str]) -> tuple[int, str]:
    """Exit code of a command line, and what it says is wrong."""
    from latentface.cli import run

    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        code = run([*words, "--json", "--quiet"])
    if not code:
        return 0, ""
    lines = complained.getvalue().strip().splitlines() or ["it failed without a word"]
    try:
        message = str(json.loads(said.getvalue())["error"]["message"])
    except (KeyError, TypeError, ValueError):
        message = lines[-1].removeprefix("latentface: ")
    return code, message


def _without(message: str, source: Path, job: Job) -> str:
    """The message with the input's own name instead of that of its copy."""
    return message.replace(str(source), job.source)
