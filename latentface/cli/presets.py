"""Presets of `latentface edit`: named strengths in a small TOML file."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path

from latentface.errors import InputError
from latentface.io.atomic import atomic_path
from latentface.io.paths import reason

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = "set"
EXPECTED = f"expected a table [{TABLE}] with lines such as happiness = 2.0"


def load_preset(path: Path) -> dict[str, float]:
    """The strengths under [set], in the order of the file; InputError if it cannot be read or has other content."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a preset: {reason(error)}; {EXPECTED}") from None
    strengths = content.get(TABLE)
    if content.keys() != {TABLE} or not isinstance(strengths, dict) or not strengths:
        raise InputError(f"{path} is not a preset: {EXPECTED}")
    for name, value in strengths.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise InputError(f"{path}: {name} is {reprlib.repr(value)}; expected a number, such as 2.0")
    return {name: float(value) for name, value in strengths.items()}


def save_preset(path: Path, strengths: Mapping[str, float]) -> None:
    """Write a preset for `load_preset`; OutputError if the file cannot be written."""
    lines = [f"{_key(name)} = {float(value)!r}" for name, value in strengths.items()]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([f"[{TABLE}]", *lines]) + "\n", encoding="utf-8")


def _key(name: str) -> str:
    """A TOML key: bare where that is allowed, else quoted."""
    if name and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
