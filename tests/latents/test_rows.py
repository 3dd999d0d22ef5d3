"""Rows as text: numbers and ranges, sorted and once each; anything else is refused."""

from __future__ import annotations

import pytest

from latentface.errors import UsageError
from latentface.latents.rows import parse_rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("3-4,7", (3, 4, 7)), ("7,3-4", (3, 4, 7)), ("0", (0,)), (" 1 - 3 , 2 ", (1, 2, 3)), ("2-2,", (2,)), ("", ()),
    ],
)  # fmt: skip
def test_numbers_and_ranges_are_sorted_and_counted_once(text: str, rows: tuple[int, ...]) -> None:
    assert parse_rows(text, 12) == rows


@pytest.mark.parametrize("text", ["auto", "3-", "-3", "1.5", "3-4-5", "3;4", "²"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected auto, paper, or rows such as 3-4,7"):
        parse_rows(text, 12)


@pytest.mark.parametrize("text", ["12", "4-12", "5-3"])
def test_rows_that_the_network_has_not_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="rows 0 to 11"):
        parse_rows(text, 12)
