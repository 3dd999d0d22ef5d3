"""`latentface studio` before it serves; tests/studio has the page itself."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.helpers.cli_desk import Desk


def test_another_address_needs_a_password(desk: Desk) -> None:
    outcome = desk.run("studio", "--host", "0.0.0.0", "--no-browser")
    assert outcome.code == 2
    assert "give --auth USER:PASSWORD" in outcome.err


def test_short_passwords_are_refused(desk: Desk) -> None:
    outcome = desk.run("studio", "--host", "0.0.0.0", "--auth", "me:short", "--no-browser")
    assert outcome.code == 2
    assert "8 characters" in outcome.err


def test_the_page_needs_its_extra(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "gradio" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    outcome = desk.run("studio", "--no-browser")
    assert outcome.code == 2
    assert "pip install 'latentface[ui]'" in outcome.err
