"""The folder of results: it is chosen by the user, and nothing in it is overwritten."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from latentface.errors import OutputError
from latentface.io.paths import short_stem

PICTURES = ("png", "jpg", "webp")


@dataclass(frozen=True)
class Results:
    """The folder, made when the first result is written."""

    folder: Path
    _taken: set[Path] = field(default_factory=set, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def new(self, source: str | Path, ending: str) -> Path:
        """An unused name for a result of a source: NAME.ending, or NAME-2.ending and so on.

        Only the last part of the source's path is used. Raises OutputError where the folder cannot be made.
        """
        stem = short_stem(Path(Path(source).name)) or "untitled"
        with self._lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{self.folder}: cannot make this folder ({error.strerror}); name another") from None
            names = (f"{stem}.{ending}" if k == 1 else f"{stem}-{k}.{ending}" for k in count(1))
            paths = (self.folder / name for name in names)
            path = next(path for path in paths if path not in self._taken and not path.exists())
            self._taken.add(path)
            return path
