"""The state that all parts of the page share: the verbs, the queue, and the sessions of the users."""

from __future__ import annotations

import functools
import hashlib
import html
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast
from urllib.parse import quote

import gradio as gr
from PIL import Image

from latentface.arrays import Pixels
from latentface.errors import InputError, LatentfaceError
from latentface.io.atomic import WholeWrites, atomic_path
from latentface.studio.jobs import JobQueue
from latentface.studio.session import Session, Subject
from latentface.studio.work import Workshop

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

MOST_SESSIONS = 16  # each holds a few photos
MOST_SUBJECTS = 8  # photos on the other tabs
MOST_FORMS = 200
MOST_PICTURES = 300


class Recent(Generic[T]):
    """A dictionary of limited size that drops the least recently used values."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        """The value of a key, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: str, value: T) -> T:
        """Keep a value, and give it back."""
        with self._lock:
            self._held[key] = value
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return value


class Shared:
    """The folder that the server serves: previews, and links to results, which lie elsewhere.

    Each picture is written once and atomically; the oldest ones are deleted if there are too many.
    """

    def __init__(self, folder: Path, most: int = MOST_PICTURES) -> None:
        self._folder, self._most = folder, most
        self._held: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()

    def uploaded(self, path: str | None, what: str) -> str:
        """An uploaded file; InputError if there is none, and for any other file of this machine."""
        if not path:
            raise InputError(f"there is no {what} yet; drop or upload one first")
        if not Path(path).resolve().is_relative_to(self._folder.resolve()):
            raise InputError(f"the {what} was not uploaded; files of this machine are not read by their names")
        return path

    def file(self, path: Path) -> str:
        """A file in the folder with the same name and content as one that lies elsewhere."""
        stamp = f"{path.resolve()} {path.stat().st_mtime_ns}"
        home = self._folder / hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]
        with self._lock:
            if not (home / path.name).exists():
                home.mkdir(exist_ok=True)
                with atomic_path(home / path.name) as temporary:
                    shutil.copyfile(path, temporary)
        return str(home / path.name)

    def files(self, paths: Iterable[Path]) -> list[str]:
        """`file` for several files, without those that no longer exist."""
        return [self.file(path) for path in paths if path.is_file()]

    def picture(self, pixels: Pixels) -> str:
        """Write a picture, uint8 RGB [H, W, 3], as JPEG; its name is a hash of its content."""
        name = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:32]
        with self._lock:
            if name not in self._held:
                path = self._folder / f"{name}.jpg"
                with atomic_path(path) as temporary, temporary.open("wb") as file:
                    Image.fromarray(pixels).save(cast(Any, WholeWrites(file)), "JPEG", quality=92, subsampling=0)
                self._held[name] = path
            self._held.move_to_end(name)
            while len(self._held) > self._most:
                self._held.popitem(last=False)[1].unlink(missing_ok=True)
            return str(self._held[name])


@dataclass(frozen=True, eq=False)
class Desk:
    """The shared state of the page.

    Attributes:
        workshop: the verbs. shared: the files that the server hands out. queue: long work.
        sessions: what is edited on the first tab, by the token that a browser keeps.
        changing: held while a session is read, changed and kept, since a page asks for several things at once.
        subjects: photos on the other tabs whose faces were found, by file.
        forms: what is entered on the other tabs, by token and tab.
    """

    workshop: Workshop
    shared: Shared
    queue: JobQueue = field(default_factory=JobQueue)
    sessions: Recent[Session] = field(default_factory=lambda: Recent(MOST_SESSIONS))
    changing: threading.Lock = field(default_factory=threading.Lock)
    subjects: Recent[Subject] = field(default_factory=lambda: Recent(MOST_SUBJECTS))
    forms: Recent[dict[str, Any]] = field(default_factory=lambda: Recent(MOST_FORMS))

    def subject(self, path: str, number: float = 0, *, clip: bool = False) -> Subject:
        """The face of that number in a photo, or in the first frame of a clip with a face; 0 is the largest."""
        read = Subject.of_clip if clip else Subject.read
        known = self.subjects.get(path) or self.subjects.put(path, read(path))
        return known.choose(int(number)) if number else known


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(16)


def file_address(path: str) -> str:
    """The URL of a file in the shared folder."""
    return html.escape(f"gradio_api/file={quote(path)}")


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator: errors that the user can act on are shown on the page with their message."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except LatentfaceError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error

    return call
