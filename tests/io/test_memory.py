"""Memory is given back where the C library can do it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from latentface.io import memory


def test_functions_of_the_c_library_are_found_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "win32":
        assert memory.c_function("malloc") is not None
    assert memory.c_function("no_such_function") is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert memory.c_function("malloc") is None


def test_only_large_photos_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(memory, "c_function", lambda name: told.append)
    memory.give_back(np.zeros((1000, 1000, 3), np.uint8))
    assert told == []
    memory.give_back(np.broadcast_to(np.uint8(0), (5000, 6000, 3)))
    assert told == [0]
