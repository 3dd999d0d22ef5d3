"""Parsing of the changes to a face on the command line: values by name, and values over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import UsageError

if TYPE_CHECKING:
    from latentface.editing.keyframes import Keyframes


def read_changes(given: Sequence[str], preset: Path | None) -> dict[str, float]:
    """Strengths by name from `NAME=STRENGTH` words, which override those of a preset; UsageError for another form."""
    changes: dict[str, float] = {}
    if preset is not None:
        from latentface.cli.presets import load_preset

        changes |= load_preset(preset)
    return changes | dict(read_change("--set", word) for word in given)


def read_change(flag_name: str, word: str) -> tuple[str, float]:
    """The name and the strength of a `NAME=STRENGTH` word; UsageError for another form."""
    name, equals, number = word.partition("=")
    try:
        strength = float(number)
    except ValueError:
        strength = math.nan
    if not name.strip() or not equals or not math.isfinite(strength):
        raise UsageError(f"{flag_name} {word!r}: expected NAME=STRENGTH, such as happiness=2")
    return name.strip(), strength


def read_keyframes(constant: Mapping[str, float], keys: tuple[tuple[str, str], ...], curves: Path | None) -> Keyframes:
    """Values over time from --set, --at and --curves; UsageError for malformed values, or if there are none."""
    from latentface.editing.keyframes import Keyframes

    made = Keyframes(constant)
    if curves is not None:
        made = made.with_curves(curves)
    for seconds, word in keys:
        try:
            at = float(seconds.removesuffix("s"))
        except ValueError:
            at = math.nan
        if not math.isfinite(at) or at < 0:
            raise UsageError(f"--at {seconds}: expected seconds from the beginning of the clip, such as 2.5")
        made = made.with_keys(at, dict([read_change(f"--at {seconds}", word)]))
    if not made.names:
        raise UsageError("nothing to edit; give --set NAME=STRENGTH, --at SECONDS NAME=STRENGTH, --curves or --preset")
    return made
