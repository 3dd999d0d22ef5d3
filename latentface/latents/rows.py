"""Rows of a latent as text: `3-4,7` names the rows 3, 4 and 7 of ws [num_ws, w_dim]."""

from __future__ import annotations

import re

from latentface.errors import UsageError


def parse_rows(text: str, count: int) -> tuple[int, ...]:
    """`3-4,7` -> (3, 4, 7); UsageError for other text and for rows beyond count - 1."""
    rows: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part, re.ASCII)
        if match is None:
            raise UsageError(f"layers {text!r}: expected auto, paper, or rows such as 3-4,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= count:
            raise UsageError(f"layers {text!r}: this network's latents have rows 0 to {count - 1}")
        rows |= set(range(first, last + 1))
    return tuple(sorted(rows))
