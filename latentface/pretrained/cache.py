"""The user's cache of published networks: downloaded once, verified, and recorded with source and licence.

Each file has a record beside it (`FILE.json`) with its source, its SHA-256, and the licence that the user was shown.
The record outlives the file, so a later download must give the same bytes. The folder is the platform's cache folder
for latentface, or the one named by LATENTFACE_CACHE, or, without a home folder, a temporary one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from latentface.errors import OutputError, WeightsError
from latentface.io.atomic import atomic_path, sha256
from latentface.pretrained.download import Refusal, check, download, part_of, settle
from latentface.pretrained.published import Published

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """Whether networks may be downloaded, and callbacks.

    Attributes:
        offline: never download. LATENTFACE_OFFLINE=1 has the same effect for a whole process.
        on_progress: called as on_progress(name, done, total), in bytes; total is None if the server does not report it.
        on_licence: called with one line before the first use of a network; None shows and records nothing.
    """

    offline: bool = False
    on_progress: Callable[[str, int, int | None], None] = lambda name, done, total: None
    on_licence: Callable[[str], None] | None = logger.warning


_access: ContextVar[Access] = ContextVar("access")


@contextlib.contextmanager
def access(settings: Access) -> Iterator[None]:
    """Apply these settings to every network that is looked up inside the block."""
    token = _access.set(settings)
    try:
        yield
    finally:
        _access.reset(token)


@dataclass(frozen=True)
class Record:
    """The record of a file: its source, its SHA-256, its size and time when that was verified, its licence."""

    source: str = ""
    sha256: str = ""
    bytes: int = 0
    modified: int = 0  # nanoseconds
    licence: str = ""  # the licence that was shown


def folder() -> Path:
    """The cache folder, which need not exist yet."""
    import platformdirs

    with contextlib.suppress(RuntimeError):  # there is no home folder
        place = os.path.expanduser(os.environ.get("LATENTFACE_CACHE") or platformdirs.user_cache_dir("latentface"))
        if not place.startswith("~"):
            return Path(place)
    from latentface.ops.compiler import temporary_cache

    return temporary_cache()


def made(place: Path) -> Path:
    """A folder of the cache, created if necessary; OutputError if it cannot be."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the folder {place}: {error.strerror}; set LATENTFACE_CACHE") from error
    return place


def is_url(name: str) -> bool:
    """Whether a name is a URL that can be downloaded."""
    return name.lower().startswith(("http://", "https://"))


def entry_of(url: str) -> Published:
    """A catalogue entry for a URL, about which nothing else is known; WeightsError if it is malformed."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError as error:
        raise WeightsError(f"cannot download {url}: {error}; give a complete URL") from error
    name = re.sub(r"[^\w.-]", "_", path.rsplit("/", 1)[-1]).removesuffix(".bz2").lstrip(".")[-80:]
    file = f"url-{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name or 'network'}"
    return Published(url, "", "", None, licence="", commercial=None, file=file, page=url, urls=(url,))


def path_of(entry: Published) -> Path:
    """The path of the file, whether it exists or not."""
    return folder() / "networks" / entry.file


def state_of(entry: Published) -> str:
    """`here`, `partly here` (a download to resume), `changed` (since it was verified) or `absent`."""
    path = path_of(entry)
    if path.is_file():
        return "here" if _unchanged(path, _read_record(path)) else "changed"
    return "partly here" if part_of(path).exists() else "absent"


def obtain(entry: Published) -> Path:
    """The file of an entry, from the cache or downloaded into it if that is allowed.

    Raises:
        WeightsError: it is not cached and may not or cannot be downloaded, or its checksum is wrong.
        OutputError: the cache cannot be written.
    """
    path, settings = path_of(entry), _access.get(Access())
    if path.is_file():
        if not (_unchanged(path, _read_record(path)) and _licence_seen(entry)):
            with _lock(path):
                verify(entry)
                _show_licence(entry, settings)
        return path
    if settings.offline or os.environ.get("LATENTFACE_OFFLINE", "0") not in ("", "0"):
        raise WeightsError(f"{entry.name} is not in the cache and downloads are switched off; {_by_hand(entry)}")
    if not entry.urls:
        raise WeightsError(f"{entry.name} cannot be downloaded by a program; {_by_hand(entry)}")
    with _lock(path):
        if not path.is_file():  # another process may have downloaded it in the meantime
            _show_licence(entry, settings)
            _download(entry, path, settings)
    return path


def adopt(entry: Published, file: Path) -> Path:
    """Add a file that was downloaded by hand to the cache.

    Raises:
        WeightsError: it cannot be read, or it is not the file of the entry.
        OutputError: the cache cannot be written.
    """
    path = path_of(entry)
    with _lock(path):
        copy = part_of(path)
        try:
            shutil.copyfile(file, copy)
            digest = settle(copy, path, sha256(copy), _expected(entry))
        except Refusal as refusal:
            raise WeightsError(f"{file} is not the file of {entry.name}: {refusal}; see {entry.page}") from None
        except OSError as error:
            raise WeightsError(f"cannot copy {file} to {path}: {error.strerror or error}") from error
        finally:
            copy.unlink(missing_ok=True)
        _remember(path, str(file), digest)
        _show_licence(entry, _access.get(Access()))
    return path


def verify(entry: Published) -> Path:
    """Read the whole file and compare its SHA-256 with the published or recorded one; record it if there is none.

    Raises:
        WeightsError: the file is not cached, or is not the one that was downloaded.
    """
    path = path_of(entry)
    if not path.is_file():
        raise WeightsError(f"{entry.name} is not in the cache: latentface weights get {entry.name}")
    digest = sha256(path)
    try:
        check(digest, _expected(entry))
    except Refusal as refusal:
        again = f"delete it, then latentface weights get {entry.name}"
        raise WeightsError(f"{path} is damaged or was replaced: {refusal}; {again}") from None
    _remember(path, _read_record(path).source or entry.page, digest)
    return path


def fetched_urls() -> list[Published]:
    """An entry for every URL whose file is in the cache."""
    records = sorted((folder() / "networks").glob("url-*.json"))
    entries = [entry_of(_read_record(record.with_suffix("")).source) for record in records]
    return [entry for entry in entries if path_of(entry).is_file()]


def licence_line(entry: Published) -> str:
    """The licence in one line, for the user; empty if none is stated."""
    if not entry.licence:
        return ""
    use = {True: "commercial use allowed", False: "no commercial use", None: "commercial use: not stated"}
    return f"{entry.name}: {entry.licence}; {use[entry.commercial]}; see {entry.page}"


def _download(entry: Published, path: Path, settings: Access) -> None:
    def on_progress(done: int, total: int | None) -> None:
        settings.on_progress(entry.name, done, total)

    try:
        digest, source = download(entry.urls, path, _expected(entry), on_progress)
    except WeightsError as error:
        raise WeightsError(f"{error}; try again later, or {_by_hand(entry)}") from error
    _remember(path, source, digest)


def _by_hand(entry: Published) -> str:
    if is_url(entry.name):
        return "download the file by hand and give its path"
    return f"download {entry.file} from {entry.page}, then run latentface weights get {entry.name} --from FILE"


def _expected(entry: Published) -> dict[str, str]:
    """The checksums the file must have."""
    sums = {"the published one": entry.sha256, "that of the first download": _read_record(path_of(entry)).sha256}
    return {name: digest for name, digest in sums.items() if digest}


def _show_licence(entry: Published, settings: Access) -> None:
    if settings.on_licence and not _licence_seen(entry):
        settings.on_licence(licence_line(entry))
        path = path_of(entry)
        _write_record(path, replace(_read_record(path), licence=licence_line(entry)))


def _licence_seen(entry: Published) -> bool:
    return licence_line(entry) in ("", _read_record(path_of(entry)).licence)


def _remember(path: Path, source: str, digest: str) -> None:
    now = path.stat()
    record = replace(_read_record(path), source=source, sha256=digest, bytes=now.st_size, modified=now.st_mtime_ns)
    _write_record(path, record)


def _unchanged(path: Path, record: Record) -> bool:
    """Whether size and time are those of the verified file, because hashing a gigabyte at every start is slow."""
    now = path.stat()
    return (now.st_size, now.st_mtime_ns) == (record.bytes, record.modified)


def _read_record(path: Path) -> Record:
    try:
        return Record(**json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"the record {path}.json cannot be read ({error}): delete it") from error


def _write_record(path: Path, record: Record) -> None:
    with atomic_path(path.with_name(f"{path.name}.json")) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lock a file of the cache against other processes; the second one waits and finds it ready."""
    import filelock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        turn = filelock.FileLock(path.with_name(f".{path.name}.lock")).acquire()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"cannot write the cache {path.parent}: {reason}; set LATENTFACE_CACHE to a folder"
        ) from error
    with turn:
        yield
