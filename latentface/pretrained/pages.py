"""Web pages returned in place of a file: quota notices, sign-in pages, warnings to be confirmed."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

PAGE_BYTES = 1 << 20  # bytes of a page that are read
DRIVE_FILE = re.compile(r"https?://drive\.google\.com/(?:file/d/([\w-]+)|(?:open|uc)\?(?:[^#]*&)?id=([\w-]+))")


def is_page(head: bytes, content_type: str = "") -> bool:
    """Whether a response is a web page: by its first bytes, or by its type if they are text."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_text = content_type.startswith("text/html") and b"\0" not in head[:1024]
    return is_text or start.startswith((b"<!doctype html", b"<html", b"<head"))


def page_words(page: bytes) -> str:
    """A page's title, or its first words, on one line of at most 100 characters."""
    text = page.decode("utf-8", errors="replace")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    if title is None:
        text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.IGNORECASE | re.DOTALL)
    return " ".join(unescape(title[1] if title else text).split())[:100]


def confirmed_address(page: bytes, address: str) -> str | None:
    """The address behind Google Drive's "cannot scan this file for viruses" page; None for other pages."""
    form = _Form()
    form.feed(page.decode("utf-8", errors="replace"))
    if form.action is None:
        return None
    target = urlsplit(urljoin(address, form.action))
    query = urlencode([*parse_qsl(target.query), *form.fields])
    return urlunsplit((target.scheme, target.netloc, target.path, query, ""))


def direct_address(address: str) -> str:
    """The address of the file itself for a link to its Google Drive page; other addresses are returned unchanged."""
    match = DRIVE_FILE.match(address)
    if match is None:
        return address
    query = urlencode({"export": "download", "confirm": "t", "id": match[1] or match[2]})
    return f"https://drive.usercontent.google.com/download?{query}"


class _Form(HTMLParser):
    """The form with id `download-form`: its action and hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: list[tuple[str, str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and found.get("id") in ("download-form", "downloadForm"):
            self.action, self._inside = found.get("action") or "", True
        elif tag == "input" and self._inside and found.get("name"):
            self.fields.append((found["name"] or "", found.get("value") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
