"""The output of a command: results on stdout, notes and progress on stderr, one JSON object if requested."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from latentface.io.paths import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from latentface.editing.inverted_face import Face


class Bar(Protocol):
    """The progress bar of a command."""

    def start(self, text: str, total: int) -> None:
        """Begin a new stage of `total` steps, named `text`."""

    def step(self, done: int) -> None:
        """Set the number of finished steps of the stage."""


class _SilentBar:
    def start(self, text: str, total: int) -> None:
        pass

    def step(self, done: int) -> None:
        pass


class _TerminalBar:
    """A rich progress bar with remaining time, which replaces its line when a new stage begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def start(self, text: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=total)

    def step(self, done: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done)


@dataclass(frozen=True)
class Report:
    """Writes the messages of a command.

    as_json: results are one JSON object on stdout; everything else goes to stderr.
    quiet: print neither results in words nor notes nor progress; errors and JSON still appear.
    show_traceback: show errors with their traceback.
    """

    as_json: bool = False
    quiet: bool = False
    show_traceback: bool = False

    def say(self, text: str) -> None:
        """Print a result in words on stdout, unless JSON is requested."""
        if not (self.as_json or self.quiet):
            write_line(text, sys.stdout)

    def note(self, text: str) -> None:
        """Print a note for the user on stderr."""
        if not self.quiet:
            write_line(f"latentface: {' '.join(text.split())}", sys.stderr)

    def notes(self, texts: Iterable[str]) -> None:
        """Print several notes, one on each line."""
        for text in texts:
            self.note(text)

    def problem(self, text: str, error: BaseException) -> None:
        """Print an error that does not end the command on stderr, even if quiet."""
        if self.show_traceback:
            traceback.print_exception(error, file=sys.stderr)
        write_line(f"latentface: {' '.join(text.split())}", sys.stderr)

    def result(self, value: Mapping[str, object]) -> None:
        """Write the result as an object if --json is given."""
        if self.as_json:
            emit_json(value)

    @contextmanager
    def progress(self) -> Iterator[Bar]:
        """A progress bar with remaining time on a terminal; nothing in a pipe or with --quiet."""
        if self.quiet or not sys.stderr.isatty():
            yield _SilentBar()
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, redirect_stdout=True, redirect_stderr=True) as bar:
            yield _TerminalBar(bar)


def write_line(text: str, stream: TextIO) -> None:
    """Write a line, replacing characters that the stream cannot encode: a file name need not be valid text."""
    encoding = stream.encoding or "utf-8"
    print(printable(text).encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def emit_json(value: Mapping[str, object]) -> None:
    """Write one JSON object on stdout; numbers that JSON cannot represent (nan, inf) become null."""
    write_line(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False), sys.stdout)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def face_facts(face: Face) -> dict[str, object]:
    """The facts about a face for --json."""
    metadata = face.latent.metadata or {}
    return {"confidence": round(face.confidence, 3), "cached": face.cached, "verdict": metadata.get("verdict")}
