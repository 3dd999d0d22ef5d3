"""One input, what is to be done with it, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from latentface.errors import InputError
from latentface.io.kinds import CLIP_SUFFIXES
from latentface.io.paths import is_address


@dataclass(frozen=True)
class Job:
    """A verb for one input.

    Attributes:
        verb: name of the command.
        words: its flags as they are typed, the same for all jobs of a run.
        source: path or URL of the input.
        folder: path or URL of the folder that the results go to.
        name: of the result; empty where the verb itself names its results.
    """

    verb: str
    words: tuple[str, ...]
    source: str
    folder: str
    name: str = ""

    @property
    def target(self) -> str:
        """Where the result goes: a file, or the folder where the verb names its results."""
        return join(self.folder, self.name) if self.name else self.folder


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        job: the job.
        sha256: of the input's content, in hex; empty if it could not be read.
        files: paths or URLs of what was written, relative to the job's folder.
        seconds: that it took.
        exit_code: 0 if it is done, else as the command line's.
        message: what went wrong; empty if it is done.
    """

    job: Job
    sha256: str
    files: tuple[str, ...]
    seconds: float
    exit_code: int = 0
    message: str = ""


#: Does a job in another process; must be importable there.
Work = Callable[[Job], Outcome]


@dataclass(frozen=True)
class Found:
    """An input, and the folder that its results go to, relative to that of all results, with forward slashes."""

    source: str
    folder: str = ""

    @property
    def file_name(self) -> str:
        """The last part of the path or URL."""
        return self.source.rstrip("/").rsplit("/", 1)[-1] if is_address(self.source) else Path(self.source).name


def find_inputs(given: Iterable[str], suffixes: frozenset[str], results: str = "") -> Iterator[Found]:
    """The inputs that are meant by paths and URLs, in their order; folders are searched at all depths.

    Args:
        given: files, folders and URLs. A file is taken whatever it is called, a URL too.
        suffixes: of the files that are taken from folders, in lower case.
        results: the folder of the results, which is left out of any folder that it lies in.

    Raises:
        InputError: a path does not exist, or a folder holds nothing of the kind.
    """
    own = None if not results or is_address(results) else Path(results).resolve()
    for each in given:
        path = Path(each)
        if is_address(each):
            yield Found(each)
        elif path.is_dir():
            inside = list(_search(path, suffixes, own))
            if not inside:
                kinds = " ".join(sorted(suffixes))
                raise InputError(f"{each}: nothing to work on in this folder; expected files ending in {kinds}")
            yield from inside
        elif path.exists():
            yield Found(str(path.absolute()))
        else:
            raise InputError(f"no such file: {each}; check the path")


def _search(root: Path, suffixes: frozenset[str], own: Path | None) -> Iterator[Found]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (here / name).resolve() != own)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Found(str((here / name).absolute()), here.relative_to(root).as_posix().removeprefix("."))


def suffixes_of(photos: bool, clips: bool) -> frozenset[str]:
    """Suffixes of the files that a verb takes from folders: of photos, of clips, or of both."""
    from latentface.io.images import PHOTO_SUFFIXES

    return (PHOTO_SUFFIXES if photos else frozenset()) | (CLIP_SUFFIXES if clips else frozenset())


class Names:
    """Gives every input a name that no other input of the run has in the same folder of results.

    The name is the file's without its suffix; with it where that is taken, and numbered where that is taken, too.
    """

    def __init__(self) -> None:
        self._taken: set[tuple[str, str]] = set()

    def take(self, found: Found) -> str:
        """The name for an input, which is taken from then on."""
        full = found.file_name
        stem = full.rsplit(".", 1)[0] or full
        number = 1
        name = stem
        while (found.folder, name.casefold()) in self._taken:
            name = full if number == 1 else f"{full}-{number}"
            number += 1
        self._taken.add((found.folder, name.casefold()))
        return name


def join(folder: str, *names: str) -> str:
    """A path or URL in a folder; empty names add nothing."""
    return "/".join((folder.rstrip("/") or folder, *filter(None, names)))
