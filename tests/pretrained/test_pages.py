"""Web pages that come in a file's place: told by their first bytes, read for their title, followed where they ask."""

from __future__ import annotations

import pytest

from latentface.pretrained import pages
from tests.helpers.weight_server import CONFIRM, QUOTA


@pytest.mark.parametrize(
    ("head", "kind", "page"),
    [
        (b"<!DOCTYPE html>", "", True),
        (b"\xef\xbb\xbf\n <HTML lang=en>", "application/octet-stream", True),
        (b"Sign in", "text/html; charset=utf-8", True),
        (b"\x80\x04\x95\0\0\0", "text/html", False),
        (b"PK\x03\x04", "application/zip", False),
        (b"BZh9", "", False),
    ],
)
def test_what_is_a_page(head: bytes, kind: str, page: bool) -> None:
    assert pages.is_page(head, kind) is page


def test_the_words_of_a_page_without_title() -> None:
    assert pages.page_words(b"<html><style>p{}</style><p>Please <b>sign in</b>&amp; pay") == "Please sign in & pay"


def test_links_to_drives_own_pages() -> None:
    direct = "https://drive.usercontent.google.com/download?export=download&confirm=t&id=1a_B-c"
    for link in ("file/d/1a_B-c/view?usp=sharing", "open?id=1a_B-c", "uc?export=download&id=1a_B-c"):
        assert pages.direct_address(f"https://drive.google.com/{link}") == direct
    assert pages.direct_address("https://example.org/uc?id=1") == "https://example.org/uc?id=1"


def test_a_title_goes_before_the_words_and_neither_is_long() -> None:
    assert pages.page_words(QUOTA) == "Google Drive - Quota exceeded"
    assert pages.page_words(b"<title>\n Two\n lines </title><p>text") == "Two lines"
    assert len(pages.page_words(b"<p>" + b"word " * 100)) == 100
    assert pages.page_words(b"<script>if (a < b) alert(1)</script><p>Caf\xc3\xa9 \xff") == "Caf\u00e9 \ufffd"


def test_a_question_is_answered_by_its_own_form() -> None:
    address = pages.confirmed_address(CONFIRM, "https://drive.example.org/uc?id=x")
    assert address == "https://drive.example.org/confirmed?from=page&id=x%26y&confirm=t"
    assert pages.confirmed_address(QUOTA, "https://drive.example.org/uc") is None
    other = CONFIRM.replace(b"download-form", b"sign-in")
    assert pages.confirmed_address(other, "https://drive.example.org/uc") is None


def test_a_form_that_leads_elsewhere_is_followed_there() -> None:
    page = CONFIRM.replace(b"/confirmed?from=page", b"https://files.example.org/get")
    address = pages.confirmed_address(page, "https://drive.example.org/uc")
    assert address == "https://files.example.org/get?id=x%26y&confirm=t"
