"""Networks that the user imported: latentface files with names chosen by the user, beside the downloads."""

from __future__ import annotations

import re
from pathlib import Path

from latentface.errors import UsageError
from latentface.pretrained import cache
from latentface.pretrained.catalogue import BUILTIN
from latentface.pretrained.published import PUBLISHED

NAME = re.compile(r"\w[\w.-]{0,79}", re.ASCII)
SUFFIX = ".safetensors"


def path_of(name: str) -> Path | None:
    """The file imported with this name, or None."""
    path = folder() / f"{name}{SUFFIX}"
    return path if NAME.fullmatch(name) and path.is_file() else None


def names() -> list[str]:
    """Every imported name, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}") if path_of(path.stem))


def place(name: str, overwrite: bool = False) -> Path:
    """The path for a network with this name; its folder is created.

    Raises:
        UsageError: the name is not a valid file name, belongs to another network, or is taken.
        OutputError: the folder cannot be created.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a network: use letters, digits, '.', '_' and '-'")
    if name in {entry.name for entry in BUILTIN} | {entry.name for entry in PUBLISHED}:
        raise UsageError(f"{name} is the name of a known network: choose another with --as")
    if path_of(name) and not overwrite:
        raise UsageError(f"a network named {name} already exists: choose another name with --as, or use --overwrite")
    return cache.made(folder()) / f"{name}{SUFFIX}"


def folder() -> Path:
    """The folder of imported networks, in the user's cache folder."""
    return cache.folder() / "imported"
