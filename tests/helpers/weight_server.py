"""A small HTTP server that fails in the ways servers of weights do; it counts what it was asked."""

from __future__ import annotations

import bz2
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from latentface.pretrained.published import Published

CONTENT = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUOTA = b"""<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head>
<body><p>Too many users have viewed or downloaded this file recently.</p></body></html>"""
CONFIRM = b"""<html><body><p>Google Drive can't scan this file for viruses.</p>
<form id="download-form" action="/confirmed?from=page" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="x&amp;y"><input type="hidden" name="confirm" value="t"></form></body></html>"""


class WeightHandler(BaseHTTPRequestHandler):
    """The first word of the path says what happens; `asked` lists (path, Range header) of every request."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str | None]]] = []
    content: ClassVar[bytes] = CONTENT
    tag: ClassVar[str | None] = '"v1"'
    cut_at: ClassVar[list[int]] = []  # bytes after which the next answers break off
    fail: ClassVar[list[int]] = []  # statuses of the next answers
    release: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.close_connection = True
        self.asked.append((self.path, self.headers.get("Range")))
        kind = urlsplit(self.path).path.split("/")[1]
        if self.fail:
            return self.send_error(self.fail.pop(0))
        if kind == "missing":
            return self.send_error(404)
        if kind == "quota":
            return self.answer(QUOTA, "text/html; charset=utf-8")
        if kind == "confirm":
            return self.answer(CONFIRM, "text/html")
        if kind == "confirmed" and dict(parse_qsl(urlsplit(self.path).query)) != {
            "from": "page", "id": "x&y", "confirm": "t",
        }:  # fmt: skip
            return self.send_error(400)
        if kind == "archive":
            return self.answer(bz2.compress(self.content))
        if kind == "damaged":
            return self.answer(bz2.compress(self.content)[:-100])
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/file/after-all.pkl")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self.answer(self.content, pause=0.02 if kind == "slow" else 0, stall=kind == "stall")

    def answer(
        self, body: bytes, kind: str = "application/octet-stream", pause: float = 0, stall: bool = False
    ) -> None:
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == self.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.tag:
            self.send_header("ETag", self.tag)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = self.cut_at.pop(0) if self.cut_at else len(body)
        for at in range(start, end, 65536):
            self.wfile.write(body[at : min(at + 65536, end)])
            if stall:
                self.release.wait(5)
            time.sleep(pause)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away is part of the game


@contextmanager
def serving() -> Iterator[str]:
    """The address of a running server."""
    for name, value in (("content", CONTENT), ("tag", '"v1"'), ("asked", []), ("cut_at", []), ("fail", [])):
        setattr(WeightHandler, name, value)
    WeightHandler.release = threading.Event()
    with _Server(("127.0.0.1", 0), WeightHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            WeightHandler.release.set()
            server.shutdown()
            thread.join()


def entry(*urls: str, sha256: str | None = None, file: str = "faces.pkl") -> Published:
    return Published(
        "faces", "generator", "faces", 64, "Some Licence", False, file, "https://example.org/faces", urls, sha256=sha256
    )


def files(folder: Path) -> set[str]:
    """What lies in the cache, locks left out."""
    return {path.name for path in (folder / "networks").iterdir() if path.suffix != ".lock"}
