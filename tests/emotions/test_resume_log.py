"""The journal of a reading: looks come back exactly, and damage costs no more than what is behind it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from latentface.emotions.resume_log import Journal
from latentface.emotions.smoothing import Look
from latentface.errors import InputError, OutputError
from tests.helpers.full_disk import little_room

SEEN = [
    Look(Fraction(0), (0.94, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01), (0, 0, 9, 9), 1),
    Look(Fraction(1, 5), None),
    Look(Fraction(1001, 30000), (0.1,) * 7, (-3, 2, 4, 5), 12),
]


def keep(path: Path, seen: list[Look], **facts: object) -> None:
    with Journal(path, facts) as journal:
        for look in seen:
            journal.add(look)


def test_looks_come_back_exactly(tmp_path: Path) -> None:
    keep(tmp_path / "j", SEEN, film="a")
    with Journal(tmp_path / "j", {"film": "a"}) as again:
        assert (again.count, again.last, again.replaced, again.damaged) == (3, SEEN[-1], False, None)
        assert list(again) == SEEN
        again.remove()
    assert not (tmp_path / "j").exists()


def test_half_a_line_is_forgotten_and_written_over(tmp_path: Path) -> None:
    keep(tmp_path / "j", SEEN[:2])
    with (tmp_path / "j").open("ab") as file:
        file.write(b'["2/5", [0.1')
    with Journal(tmp_path / "j", {}) as journal:
        assert (journal.count, journal.damaged) == (2, None)
        journal.add(SEEN[2])
        assert list(journal) == SEEN


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"{}", b"5", b"null", b"\xff\xfe", b'["1/5", [0.1, 0.2], null, 0]', b'["1/0", null, null, 0]',
        b'["1/5", null, [1, 2], 0]', b'["1/5", null, null]', b'["1/5", null, null, "x"]', b'["soon", null, null, 0]',
        b'["1/5", ["a","b","c","d","e","f","g"], [1, 2, 3, 4], 1]', b'["1/5", [NaN,0,0,0,0,0,0], [1, 2, 3, 4], 1]',
        b'[null, null, null, 0]', b'["1/5", 5, null, 0]', b"[" * 100_000,
    ],
)  # fmt: skip
def test_from_a_damaged_line_on_all_is_looked_at_again(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j"
    keep(path, SEEN)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], line, *lines[3:]]) + b"\n")
    with Journal(path, {}) as journal:
        assert (journal.count, journal.last, journal.damaged, journal.replaced) == (1, SEEN[0], 3, False)
        for look in SEEN[1:]:
            journal.add(look)
        assert list(journal) == SEEN


def test_damage_by_others_meanwhile_is_told(tmp_path: Path) -> None:
    keep(tmp_path / "j", SEEN)
    with Journal(tmp_path / "j", {}) as journal:
        with (tmp_path / "j").open("ab") as file:
            file.write(b"what?\n")
        with pytest.raises(InputError, match="line 5 is not a look"):
            list(journal)


def test_another_film_or_other_options_begin_anew(tmp_path: Path) -> None:
    keep(tmp_path / "j", SEEN[:1], film="a", looks=5)
    with Journal(tmp_path / "j", {"film": "a", "looks": 6}) as journal:
        assert (journal.count, journal.last, journal.replaced, list(journal)) == (0, None, True, [])


def test_a_place_that_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "none" / "j", {})


@pytest.mark.parametrize("size", [4, 90])
def test_a_disk_that_is_full_is_told_once(size: int, tmp_path: Path) -> None:
    with little_room(size), pytest.raises(OutputError, match=r"j: .*has room"), Journal(tmp_path / "j", {}) as journal:
        for look in SEEN:
            journal.add(look)
    keep(tmp_path / "j", SEEN)
    with Journal(tmp_path / "j", {}) as again:
        assert list(again)[-1] == SEEN[-1]
