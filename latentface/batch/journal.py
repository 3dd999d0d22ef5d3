"""The journal of a batch: one JSON object a line for every result, by which a run goes on where another stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from latentface.batch.jobs import Job, Outcome, join
from latentface.batch.places import digest, exists, fetched
from latentface.errors import InputError, LatentfaceError, OutputError


class Journal:
    """A file of outcomes; used as a context it appends.

    Args:
        path: the file; it is made when the first outcome comes.
        version: of the program. What another version made is made again.

    Raises:
        InputError: the file is no journal.
    """

    def __init__(self, path: Path, version: str) -> None:
        self.path, self.version = path, version
        self._known: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._stream: TextIO | None = None
        self._whole = 0  # bytes of whole lines
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); give another with --journal") from error
        self._whole = content.rfind(b"\n") + 1  # what follows was being written when a run was killed
        for number, line in enumerate(content[: self._whole].splitlines(), 1):
            try:
                row = json.loads(line)
                self._known[row["source"], row["target"]] = row
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{self.path}, line {number}, is no result of a batch; name another file with --journal"
                ) from error

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("a", encoding="utf-8")
            self._stream.truncate(self._whole)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror}; name another file with --journal"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            with suppress(OSError):  # of a line that could not be written, which has been told
                self._stream.close()
            self._stream = None

    def write(self, outcome: Outcome) -> None:
        """Append an outcome.

        Raises:
            OutputError: the disk is full, or the file cannot be written any more.
        """
        assert self._stream is not None, "use the journal as a context"
        row = {**asdict(outcome.job), "target": outcome.job.target, **asdict(outcome), "version": self.version}
        del row["job"]
        try:
            self._stream.write(json.dumps(row) + "\n")
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; make room and run again") from error

    def is_done(self, job: Job) -> bool:
        """Whether an earlier run did this very job on this very content, and its results are still there."""
        row = self._known.get((job.source, job.target))
        if row is None or row.get("exit_code") != 0 or row.get("version") != self.version:
            return False
        if (row.get("verb"), row.get("words")) != (job.verb, list(job.words)):
            return False
        if not all(exists(join(job.folder, name)) for name in row.get("files", ())):
            return False
        try:
            with fetched(job.source) as source:
                return digest(source) == row.get("sha256")
        except LatentfaceError:  # the job itself will say what is wrong with its input
            return False
