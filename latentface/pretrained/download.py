"""Download of one file over HTTP: resumable, verified while streaming, from the first mirror that has it.

A partial download is kept in `FILE.part`, together with the URL and the server's validator, so that a later run
requests only the rest (RFC 9110: Range with If-Range) and never joins two different files. Proxies come from the
environment (http_proxy, https_proxy, no_proxy).
"""

from __future__ import annotations

import bz2
import hashlib
import http.client
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from latentface.errors import OutputError, WeightsError
from latentface.io.atomic import atomic_path
from latentface.pretrained.pages import PAGE_BYTES, confirmed_address, direct_address, is_page, page_words

Progress = Callable[[int, "int | None"], None]

BLOCK = 1 << 18
SECONDS = 30.0  # seconds without data before a server counts as stalled
TRIES = 4  # consecutive attempts without a single new byte
PAUSE = 1.0  # seconds before the second attempt; doubled each time
MOST_UNPACKED = 1 << 30  # largest size of an unpacked file in bytes
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class Refusal(Exception):
    """The reason why one URL does not give the file; another one may."""


class _Interrupted(Exception):
    """The transfer was interrupted and can be resumed."""


def download(
    urls: Sequence[str], target: Path, expected: Mapping[str, str], on_progress: Progress | None = None
) -> tuple[str, str]:
    """Download the first of `urls` that works to `target`, which is written atomically.

    A bzip2 archive is unpacked unless `target` is an archive itself.

    Args:
        urls: URLs of the file, tried in order.
        target: path of the file.
        expected: the SHA-256 of the (unpacked) file, or its first digits, in hex, by a name for messages.
        on_progress: called as on_progress(done, total) in bytes; total is None if the server does not report it.

    Returns:
        The SHA-256 of `target` in hex, and the URL it came from.

    Raises:
        WeightsError: no URL gives the file; the message gives the reason for each.
        OutputError: `target` cannot be written.
    """
    reasons = []
    for url in urls:
        try:
            return _fetch(direct_address(url), target, expected, on_progress or (lambda done, total: None)), url
        except Refusal as refusal:
            reasons.append(f"{urlsplit(url).netloc}: {refusal}")
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {error.strerror or error}; make room or choose a folder"
            ) from error
    raise WeightsError(f"cannot download {target.name}: {'; '.join(reasons)}")


def settle(whole: Path, target: Path, digest: str, expected: Mapping[str, str]) -> str:
    """Unpack or move the complete file `whole` with SHA-256 `digest` to `target`, if the checksum is right.

    Returns:
        The SHA-256 of `target`.

    Raises:
        Refusal: it is another file, or a damaged archive.
    """
    with whole.open("rb") as stream:
        packed = stream.read(3) == b"BZh" and target.suffix != ".bz2"
    if packed:
        return _unpack(whole, target, expected)
    check(digest, expected)
    os.replace(whole, target)
    return digest


def part_of(target: Path) -> Path:
    """The path of a partial download of `target`."""
    return target.with_name(f"{target.name}.part")


def check(digest: str, expected: Mapping[str, str]) -> None:
    """Raise Refusal unless a SHA-256 begins with each of the expected ones."""
    for name, one in expected.items():
        if not digest.startswith(one.lower()):
            raise Refusal(f"its SHA-256 is {digest[:16]}..., {name} is {one[:16]}...")


def _fetch(url: str, target: Path, expected: Mapping[str, str], on_progress: Progress) -> str:
    part = _Part(part_of(target))
    failures, size = 0, -1
    while True:
        try:
            digest = part.receive(url, on_progress)
            break
        except _Interrupted as cut:
            failures = 1 if part.size > size else failures + 1
            size = part.size
            if failures >= TRIES:
                raise Refusal(str(cut)) from None
            time.sleep(PAUSE * 2 ** (failures - 1))
    try:
        return settle(part.path, target, digest, expected)
    finally:
        part.drop()


def _unpack(archive: Path, target: Path, expected: Mapping[str, str]) -> str:
    """Unpack a bzip2 archive to `target` if its content has the right checksum; returns the checksum."""
    digest, size = hashlib.sha256(), 0
    with atomic_path(target) as temporary, bz2.open(archive) as source, temporary.open("wb") as sink:
        while block := _unpacked(source):
            size += len(block)
            if size > MOST_UNPACKED:
                raise Refusal(f"it is an archive that unpacks to more than {MOST_UNPACKED} bytes")
            sink.write(block)
            digest.update(block)
        check(digest.hexdigest(), expected)
    return digest.hexdigest()


def _unpacked(source: bz2.BZ2File) -> bytes:
    try:
        return source.read(BLOCK)
    except (OSError, EOFError) as error:
        raise Refusal(f"it is a damaged archive ({error})") from error


class _Part:
    """A partial download, with a note of its URL and of the server's version of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = path.with_name(f"{path.name}.note")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def drop(self) -> None:
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)

    def receive(self, url: str, on_progress: Progress, confirmed: bool = False) -> str:
        """Download the missing part; returns the SHA-256 of the whole. Raises _Interrupted if it is incomplete."""
        validator = self._validator(url)
        headers = {"Range": f"bytes={self.size}-", "If-Range": validator} if validator and self.size else {}
        with _open(url, headers) as answer:
            if answer.status == 416 or (answer.status == 206 and _range_start(answer) != self.size):
                self.drop()
                raise _Interrupted("the server cannot resume")
            head = _read(answer)
            if is_page(head, answer.headers.get("Content-Type", "")):
                page = b"".join(_blocks(head, answer, PAGE_BYTES))
                address = confirmed_address(page, url)
                if address is None or confirmed:
                    raise Refusal(f'the server sent a web page instead of the file ("{page_words(page)}")')
                return self.receive(address, on_progress, confirmed=True)
            if answer.status != 206:
                self._begin(url, answer)
            return self._store(_blocks(head, answer), answer, on_progress)

    def _store(self, blocks: Iterator[bytes], answer: HTTPResponse, on_progress: Progress) -> str:
        """Append the blocks; returns the SHA-256 of the whole."""
        digest, done = _digest_of(self.path), self.size
        total = _total(answer, done)
        on_progress(done, total)
        with self.path.open("ab") as stream:
            for block in blocks:
                stream.write(block)
                digest.update(block)
                done += len(block)
                on_progress(done, total)
        if total is not None and done < total:
            raise _Interrupted(f"the connection was lost after {done} of {total} bytes")
        if not done:
            raise Refusal("it is empty")
        return str(digest.hexdigest())

    def _validator(self, url: str) -> str | None:
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            note = json.loads(self.note.read_text(encoding="utf-8"))
            if note["url"] == url and isinstance(note["validator"], str):
                return note["validator"]
        return None

    def _begin(self, url: str, answer: HTTPResponse) -> None:
        """Start from the beginning, and record a strong ETag or a date, without which it cannot be resumed."""
        self.drop()
        self.path.touch()
        tag = answer.headers.get("ETag", "")
        validator = tag if tag.startswith('"') else answer.headers.get("Last-Modified")
        if validator:
            self.note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _open(url: str, headers: dict[str, str]) -> HTTPResponse:
    from latentface._version import __version__

    always = {"User-Agent": f"latentface/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**always, **headers})
    try:
        # a new opener, because urlopen caches the first proxy settings
        answer: HTTPResponse = urllib.request.build_opener().open(request, timeout=SECONDS)
        return answer
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return cast(HTTPResponse, error)  # it has the same attributes
        with error:
            kind = _Interrupted if error.code in TRANSIENT else Refusal
            raise kind(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        passing = isinstance(error.reason, TimeoutError | ConnectionResetError)
        raise (_Interrupted if passing else Refusal)(f"no connection ({error.reason})") from error
    except (ValueError, http.client.InvalidURL) as error:
        raise Refusal(f"not a valid URL ({error})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"no response ({error or type(error).__name__})") from error


def _read(answer: HTTPResponse) -> bytes:
    try:
        block: bytes = answer.read1(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"the connection was lost ({error or type(error).__name__})") from error
    return block


def _blocks(head: bytes, answer: HTTPResponse, most: float = math.inf) -> Iterator[bytes]:
    block, done = head, 0
    while block and done < most:
        yield block
        done += len(block)
        block = _read(answer)


def _range_start(answer: HTTPResponse) -> int | None:
    """The start of the range sent by the server: Content-Range: bytes START-END/SIZE."""
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdecimal() else None


def _total(answer: HTTPResponse, done: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return done + int(length) if length.isdecimal() else None


def _digest_of(path: Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest
