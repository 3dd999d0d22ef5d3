"""Files of jobs on this machine and elsewhere: a URL of any file system that fsspec knows is copied in or out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentface.batch.jobs import Job, join
from latentface.errors import InputError, OutputError
from latentface.io.atomic import sha256
from latentface.io.paths import is_address, reason

#: Beginning of the names of folders that jobs work in, beside their results.
WORKING = ".latentface-job-"


@contextmanager
def fetched(source: str) -> Iterator[Path]:
    """A local path of a source: its own, or that of a copy which is removed afterwards.

    Raises:
        InputError: the URL cannot be read.
    """
    if not is_address(source):
        yield Path(source)
        return
    from fsspec.core import url_to_fs

    with tempfile.TemporaryDirectory(prefix=WORKING) as folder:
        copy = Path(folder) / source.rstrip("/").rsplit("/", 1)[-1]
        try:
            system, path = url_to_fs(source)
            system.get_file(path, str(copy))
        except Exception as error:  # every file system has kinds of its own
            raise InputError(f"{source}: cannot be read ({reason(error)}); check the address") from error
        yield copy


@contextmanager
def working_folder(job: Job) -> Iterator[Path]:
    """An empty folder for what a job writes, on the disk of its results where they are local; removed afterwards."""
    if is_address(job.folder):
        with tempfile.TemporaryDirectory(prefix=WORKING) as folder:
            yield Path(folder)
        return
    target = Path(job.folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=WORKING, dir=target)
    except OSError as error:
        raise OutputError(f"cannot write into {target}: {reason(error)}; choose another folder with -o") from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def deliver(made: Path, job: Job) -> tuple[str, ...]:
    """Move all files of a working folder to where the job's results go; their names, sorted.

    Each replaces a file of its name at once, so that a run that is stopped leaves no half file.

    Raises:
        OutputError: the results cannot be written there.
    """
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    try:
        for name in names:
            _put(made / name, job.folder, name)
    except Exception as error:  # every file system has kinds of its own
        raise OutputError(f"cannot write into {job.folder}: {reason(error)}; choose another with -o") from error
    return tuple(names)


def _put(file: Path, folder: str, name: str) -> None:
    if not is_address(folder):
        target = Path(folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
        return
    from fsspec.core import url_to_fs

    system, path = url_to_fs(join(folder, name))
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.put_file(str(file), path)


def exists(place: str) -> bool:
    """Whether there is a file at a path or URL."""
    if not is_address(place):
        return Path(place).exists()
    from fsspec.core import url_to_fs

    system, path = url_to_fs(place)
    return bool(system.exists(path))


def digest(source: Path) -> str:
    """SHA-256 of a file's content, or of all files in a folder with their names, in hex.

    Raises:
        InputError: it cannot be read.
    """
    import hashlib

    try:
        if not source.is_dir():
            return sha256(source)
        total = hashlib.sha256()
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            total.update(f"{path.relative_to(source).as_posix()}\0{sha256(path)}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({reason(error)}); give a readable file") from error


def sweep(folder: str) -> None:
    """Remove the working folders that a killed run left in the folder of results and below."""
    if not is_address(folder):
        for path in list(Path(folder).rglob(f"{WORKING}*")):
            shutil.rmtree(path, ignore_errors=True)
