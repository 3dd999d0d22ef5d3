"""Files of directions: built-in ones, and the user's own beside the downloads, found by name.

A file is a network file of kind `directions`: one tensor [num_ws, w_dim] for each direction, and in the config the
generator's fingerprint and metadata of each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import UsageError, WeightsError
from latentface.pretrained import cache, resolve
from latentface.pretrained.catalogue import BUILTIN, Entry
from latentface.pretrained.imported import NAME

if TYPE_CHECKING:
    from latentface.latents.latent import Direction

KIND = "directions"
SUFFIX = ".safetensors"


def write_directions(path: str | os.PathLike[str], directions: Sequence[Direction]) -> None:
    """Write directions of one generator, in half precision.

    Raises:
        UsageError: there are none, two have the same name, one has no name, or they belong to several generators.
        OutputError: the file cannot be written.
    """
    from latentface.pretrained.native import write_network

    names = [direction.name for direction in directions]
    if not names or not all(names) or len(set(names)) < len(names):
        raise UsageError(f"directions called {', '.join(map(repr, names)) or 'nothing'}: expected different names")
    fingerprints = {direction.fingerprint for direction in directions}
    if len(fingerprints) > 1:
        raise UsageError("directions of several generators; write a file for each generator")
    known = {direction.name: direction.metadata or {} for direction in directions}
    state = {direction.name: direction.values for direction in directions}
    write_network(path, KIND, {"fingerprint": fingerprints.pop(), "known": known}, state)


def read_directions(path: str | os.PathLike[str]) -> dict[str, Direction]:
    """The directions in a file by name, sorted; WeightsError if it cannot be read or is of another kind."""
    from latentface.latents.latent import Direction
    from latentface.pretrained.native import read_network

    file = read_network(path, "a file of directions made by latentface (.safetensors)")
    known, fingerprint = file.config.get("known"), file.config.get("fingerprint")
    if file.kind != KIND or not isinstance(known, dict) or not isinstance(fingerprint, str):
        raise WeightsError(f"{os.fspath(path)} contains no directions (kind {file.kind!r}): give a file of directions")
    try:
        return {name: Direction(file.state[name], fingerprint, name, known.get(name)) for name in sorted(file.state)}
    except (UsageError, AttributeError) as error:
        raise WeightsError(f"{os.fspath(path)} is a damaged file of directions: {error}") from error


def find_directions(fingerprint: str) -> dict[str, Direction]:
    """All directions for the generator with this fingerprint: built-in ones, and the user's own, which take precedence.

    A file in the user's folder that cannot be read counts as absent.
    """
    found = dict(built_in(fingerprint))
    for path in sorted(folder().glob(f"[!.]*{SUFFIX}")):  # a name with a dot is of a file that was being written
        with suppress(WeightsError):
            found |= {name: own for name, own in read_directions(path).items() if own.fingerprint == fingerprint}
    return found


def pick(name: str, known: Mapping[str, Direction], where: str = "this network") -> Direction:
    """The direction with this name; UsageError, which suggests similar names, if there is none."""
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if near:
        offer = f"did you mean {' or '.join(near)}?"
    elif known:
        offer = f"there are {', '.join(sorted(known))}"
    else:
        offer = "it has none; learn some with latentface directions fit --sample 2000 and the same --network"
    raise UsageError(f"no direction {name!r} for {where}: {offer}")


def folder() -> Path:
    """The folder of the user's own directions, which need not exist."""
    return cache.folder() / "directions"


def place(name: str, fingerprint: str) -> Path:
    """The file in the user's folder for directions with this name, of the generator with this fingerprint.

    A file with this name that belongs to another generator is kept; the name then ends in the fingerprint. Raises
    UsageError for an invalid file name, OutputError if the folder cannot be created.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a file of directions: use letters, digits, '.', '_' and '-'")
    path = cache.made(folder()) / f"{name}{SUFFIX}"
    if path.exists() and _belongs_to_another(path, fingerprint):
        return path.with_name(f"{name}-{fingerprint[:12]}{SUFFIX}")
    return path


def _belongs_to_another(path: Path, fingerprint: str) -> bool:
    try:
        return any(each.fingerprint != fingerprint for each in read_directions(path).values())
    except WeightsError:  # damaged, and so useless for any generator
        return False


def built_in(fingerprint: str) -> dict[str, Direction]:
    """The built-in directions for the generator with this fingerprint."""
    found: dict[str, Direction] = {}
    for entry in BUILTIN:
        if entry.kind == KIND:
            directions = _read_builtin(entry)
            found |= {name: each for name, each in directions.items() if each.fingerprint == fingerprint}
    return found


@lru_cache(maxsize=4)
def _read_builtin(entry: Entry) -> dict[str, Direction]:
    return read_directions(resolve(entry.name, kind=KIND))
