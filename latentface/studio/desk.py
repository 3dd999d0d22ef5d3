"""What all parts of the page share: the verbs, the queue, and the sessions of those who use it."""

from __future__ import annotations

import functools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import gradio as gr

from latentface.errors import LatentfaceError
from latentface.studio.jobs import JobQueue
from latentface.studio.session import Session
from latentface.studio.work import Workshop

P = ParamSpec("P")
R = TypeVar("R")

MOST_SESSIONS = 16  # each holds a few photos


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


@dataclass(frozen=True, eq=False)
class Desk:
    """What the page works with."""

    workshop: Workshop
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
