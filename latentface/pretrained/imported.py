"""Networks that the user imported: our own files under names of the user's choice, beside the downloads."""

from __future__ import annotations

import re
from pathlib import Path

from latentface.errors import UsageError
from latentface.pretrained import cache
from latentface.pretrained.catalogue import BUILTIN, PUBLISHED

NAME = re.compile(r"\w[\w.-]{0,79}", re.ASCII)
SUFFIX = ".safetensors"


def path_of(name: str) -> Path | None:
    """The file that was imported under this name, or None."""
    path = folder() / f"{name}{SUFFIX}"
    return path if NAME.fullmatch(name) and path.is_file() else None


def names() -> list[str]:
    """Every imported name, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}") if path_of(path.stem))


def place(name: str, overwrite: bool = False) -> Path:
    """Where to write the network that is to have this name; the folder is made.

    Raises:
        UsageError: a name that is no file name, that another network has, or that is taken.
        OutputError: the folder cannot be made.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a network: use letters, digits, '.', '_' and '-'")
    if name in {entry.name for entry in BUILTIN} | {entry.name for entry in PUBLISHED}:
        raise UsageError(f"{name} is the name of a known network: choose another with --as")
    if path_of(name) and not overwrite:
        raise UsageError(f"a network was imported as {name} before: choose another name with --as, or give --overwrite")
    return cache.made(folder()) / f"{name}{SUFFIX}"


def folder() -> Path:
    """Where imported networks are kept, in the user's cache folder."""
    return cache.folder() / "imported"
