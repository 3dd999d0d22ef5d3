"""What all parts of the page share: the verbs, the queue, and the sessions of those who use it."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

import gradio as gr
from PIL import Image

from latentface.arrays import Pixels
from latentface.errors import InputError, LatentfaceError
from latentface.io.atomic import atomic_path
from latentface.studio.jobs import JobQueue
from latentface.studio.session import Session
from latentface.studio.work import Workshop

P = ParamSpec("P")
R = TypeVar("R")

MOST_SESSIONS = 16  # each holds a few photos
MOST_PICTURES = 300


class Sessions:
    """Sessions by their token, of which the browser keeps one; those that were not used for longest are forgotten."""

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        self._most = most
        self._held: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, token: str) -> Session | None:
        """The session of a token, or None."""
        with self._lock:
            if token in self._held:
                self._held.move_to_end(token)
            return self._held.get(token)

    def put(self, token: str, session: Session) -> Session:
        """Keep a session, and give it back."""
        with self._lock:
            self._held[token] = session
            self._held.move_to_end(token)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return session


class Shared:
    """The folder of which the server hands files out: previews, and results, which lie elsewhere.

    Each picture is written once and whole; the oldest go when there are many.
    """

    def __init__(self, folder: Path, most: int = MOST_PICTURES) -> None:
        self._folder, self._most = folder, most
        self._held: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()

    def uploaded(self, path: str | None, what: str) -> str:
        """A file that was uploaded into the folder; InputError for none, and for any other file of this machine."""
        if not path:
            raise InputError(f"there is no {what} yet; drop or upload one first")
        if not Path(path).resolve().is_relative_to(self._folder.resolve()):
            raise InputError(f"the {what} was not uploaded; files of this machine are not read by their names")
        return path

    def file(self, path: Path) -> str:
        """A file of the same name and content in the folder, for one that lies elsewhere."""
        stamp = f"{path.resolve()} {path.stat().st_mtime_ns}"
        home = self._folder / hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]
        with self._lock:
            if not (home / path.name).exists():
                home.mkdir(exist_ok=True)
                with atomic_path(home / path.name) as temporary:
                    shutil.copyfile(path, temporary)
        return str(home / path.name)

    def files(self, paths: Iterable[Path]) -> list[str]:
        """The same of several files, without those that are gone."""
        return [self.file(path) for path in paths if path.is_file()]

    def picture(self, pixels: Pixels) -> str:
        """The file of a picture, uint8 RGB [H, W, 3], as JPEG: its name tells its content."""
        name = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:32]
        with self._lock:
            if name not in self._held:
                path = self._folder / f"{name}.jpg"
                with atomic_path(path) as temporary:
                    Image.fromarray(pixels).save(temporary, "JPEG", quality=92, subsampling=0)
                self._held[name] = path
            self._held.move_to_end(name)
            while len(self._held) > self._most:
                self._held.popitem(last=False)[1].unlink(missing_ok=True)
            return str(self._held[name])


@dataclass(frozen=True, eq=False)
class Desk:
    """What the page works with."""

    workshop: Workshop
    shared: Shared
    queue: JobQueue = field(default_factory=JobQueue)
    sessions: Sessions = field(default_factory=Sessions)


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(16)


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose errors that the user can do something about are shown on the page as they are worded."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except LatentfaceError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error

    return call
