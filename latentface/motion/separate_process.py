"""A process of its own that looks at the pictures of a film, and never waits for the interpreter's lock of this one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, TypeVar

from latentface.arrays import Pixels
from latentface.errors import LatentfaceError

Seen = TypeVar("Seen")

#: Ctrl-C is for the process that this one works for, and modules are found where that one found them.
_CHILD: Final = f"""
import sys
sys.path[:] = sys.argv[2:]
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from {__name__} import serve
serve(sys.argv[1])
"""
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class SeparateProcess:
    """Looks at pictures in another process, which is started at once and ends with this object or this process.

    Unlike `multiprocessing`, it never runs the main module of the program again. Requests and answers are pickled.

    Args:
        module: what the process imports meanwhile, since that may take seconds: where the function is defined.
    """

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, module, *sys.path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **_ONE_THREAD},
        )  # fmt: skip
        weakref.finalize(self, _end, self._process)

    def run(self, look: Callable[[Pixels], Seen], trial: Pixels) -> Callable[[Pixels], Seen]:
        """The function `look`, which may have a state, as called over there, with one picture at a time.

        Another copy of it looks at the picture `trial` before, so that whatever the first call loads is loaded.

        Raises:
            LatentfaceError: raised by the function, or the process has died of something else, now or in a later call.
        """
        self._ask(pickle.dumps(look))
        self._ask(trial)
        self._ask(pickle.dumps(look))
        return self._ask

    def _ask(self, request: Any) -> Any:
        asking, answers = self._process.stdin, self._process.stdout
        assert asking is not None and answers is not None
        try:
            pickle.dump(request, asking, pickle.HIGHEST_PROTOCOL)
            asking.flush()
            answer = pickle.load(answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            message = f"the process that looks at the frames ended with code {code}; is there enough memory for it?"
            raise LatentfaceError(message) from error
        if isinstance(answer, LatentfaceError):
            raise answer
        return answer


def serve(module: str) -> None:
    """The other process: take functions, pickled, and call the last one with each picture, until nobody asks."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what is printed must not get among the answers
    import_module(module)
    look: Callable[[Pixels], Any] | None = None
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        answer: Any = None
        try:
            if isinstance(request, bytes):
                look = pickle.loads(request)
            elif look is not None:
                answer = look(request)
        except LatentfaceError as error:  # raised where the picture came from; any other is a defect, and seen at once
            answer = error
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
