"""`latentface weights`: the built-in networks, and those published by others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Group, flag
from latentface.cli.flags import offline_flag, report_flags
from latentface.cli.report import Report
from latentface.cli.weights_convert import export_weights, import_weights
from latentface.cli.weights_quantise import quantise_weights
from latentface.errors import UnknownNetwork, UsageError, WeightsError

if TYPE_CHECKING:
    from latentface.pretrained.published import Published

COMMERCIAL = {True: "yes", False: "no", None: "not stated"}


@click.group(cls=Group, short_help="List, download, verify, import, export and quantise networks.")
def weights() -> None:
    """List, download, verify, import, export and quantise networks, built-in ones and those that others publish."""


weights.add_command(import_weights)
weights.add_command(export_weights)
weights.add_command(quantise_weights)


@weights.command("list")
@report_flags
def list_weights(report: Report) -> int:
    """List every network, built in or published by others, with its kind, size, state and licence."""
    rows, published = survey(), survey_published()
    table = [(r["name"], r["kind"], _size(r), _state(r), r["licence"], r["summary"]) for r in rows]
    _say_table(report, [("NAME", "KIND", "SIZE", "STATE", "LICENCE", "SUMMARY"), *table])
    report.say("\nPublished by others, downloaded by name or with `latentface weights get NAME`:\n")
    head = ("NAME", "PIXELS", "SIZE", "STATE", "COMMERCIAL", "LICENCE", "SUMMARY")
    _say_table(report, [head, *map(_published_line, published)])
    code = 0 if all(row["verified"] for row in rows) else WeightsError.exit_code
    own = survey_imported()
    if own:
        report.say("\nImported:\n")
        _say_table(
            report, [("NAME", "SIZE", "FILE"), *((r["name"], f"{r['bytes'] / 1e6:.0f} MB", r["path"]) for r in own)]
        )
    result = {"command": "weights list", "weights": rows, "published": published, "imported": own, "exit_code": code}
    report.result(result)
    return code


@weights.command("get")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@flag("--from", "file", type=click.Path(path_type=Path), help="Use this file, which you downloaded by hand, as NAME.")
@offline_flag
@report_flags
def get_weights(report: Report, names: tuple[str, ...], file: Path | None) -> None:
    """Download published networks, by NAME or URL, into the cache; an interrupted download is resumed.

    Each file is checked against the published SHA-256, or against that of the first download.
    """
    from latentface.pretrained import cache

    if file is not None and len(names) != 1:
        raise UsageError("--from names one file; name one network as well")
    found = []
    for entry in [_entry(name) for name in names]:
        path = cache.obtain(entry) if file is None else cache.adopt(entry, file)
        report.say(f"{entry.name}: {path}")
        found.append({"name": entry.name, "path": str(path), "licence": entry.licence, "commercial": entry.commercial})
    report.result({"command": "weights get", "weights": found, "exit_code": 0})


@weights.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@report_flags
def verify_weights(report: Report, names: tuple[str, ...]) -> int:
    """Compare the checksums of the networks named, or of all that are on this machine."""
    from latentface import pretrained
    from latentface.pretrained import cache
    from latentface.pretrained.catalogue import BUILTIN
    from latentface.pretrained.published import PUBLISHED

    checks: dict[str, Callable[[], Path]] = {e.name: partial(pretrained.resolve, e.name) for e in BUILTIN}
    here = [entry for entry in PUBLISHED if cache.path_of(entry).is_file()] + cache.fetched_urls()
    for entry in [_entry(name) for name in names if name not in checks] + here:
        checks.setdefault(entry.name, partial(cache.verify, entry))
    rows = [_verified(name, check, report) for name, check in checks.items() if not names or name in names]
    code = 0 if all(row["verified"] for row in rows) else WeightsError.exit_code
    report.result({"command": "weights verify", "weights": rows, "exit_code": code})
    return code


def _verified(name: str, check: Callable[[], Path], report: Report) -> dict[str, object]:
    try:
        path = check()
    except WeightsError as error:
        report.problem(str(error), error)
        return {"name": name, "verified": False, "path": None, "problem": str(error)}
    report.say(f"{name}: verified, {path}")
    return {"name": name, "verified": True, "path": str(path), "problem": None}


def survey() -> list[dict[str, Any]]:
    """Every built-in network: its catalogue entry, and whether its file exists and has the right checksum."""
    from latentface.cli.outputs import hash_file
    from latentface.pretrained.catalogue import BUILTIN

    rows = []
    for entry in BUILTIN:
        present = entry.path.is_file()
        try:
            expected = entry.sha256
        except WeightsError:  # the list of checksums is damaged, so nothing can be verified
            expected = None
        rows.append(
            {
                "name": entry.name,
                "kind": entry.kind,
                "path": str(entry.path),
                "present": present,
                "bytes": entry.path.stat().st_size if present else 0,
                "sha256": expected,
                "verified": present and hash_file(entry.path) == expected,
                "licence": entry.licence,
                "summary": entry.summary,
            }
        )
    return rows


def survey_published() -> list[dict[str, Any]]:
    """Every published network: its catalogue entry, and whether it is in the cache."""
    from dataclasses import asdict

    from latentface.pretrained import cache
    from latentface.pretrained.published import PUBLISHED

    rows = []
    for entry in PUBLISHED:
        path, state = cache.path_of(entry), cache.state_of(entry)
        size = path.stat().st_size if path.is_file() else entry.bytes
        rows.append({**asdict(entry), "path": str(path), "state": state, "bytes": size})
    return rows


def survey_imported() -> list[dict[str, Any]]:
    """Every network that was imported: its name, file and size."""
    from latentface.pretrained import imported

    files = [(name, imported.path_of(name)) for name in imported.names()]
    return [{"name": name, "path": str(path), "bytes": path.stat().st_size} for name, path in files if path]


def _entry(name: str) -> Published:
    from difflib import get_close_matches

    from latentface.pretrained import cache
    from latentface.pretrained.catalogue import BUILTIN
    from latentface.pretrained.published import PUBLISHED

    if cache.is_url(name):
        return cache.entry_of(name)
    known = {entry.name: entry for entry in PUBLISHED}
    if name in known:
        return known[name]
    if name in {entry.name for entry in BUILTIN}:
        raise UsageError(f"{name} is built in: there is nothing to download")
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(near)}?" if near else "see latentface weights list"
    raise UnknownNetwork(f"no published network is called {name!r}: {offer}")


def _say_table(report: Report, table: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        report.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _published_line(row: dict[str, Any]) -> tuple[str, ...]:
    size = f"{row['bytes'] / 1e6:.0f} MB" if row["bytes"] else "-"
    pixels, use = str(row["resolution"] or "-"), COMMERCIAL[row["commercial"]]
    return (row["name"], pixels, size, row["state"], use, row["licence"], f"{row['kind']}: {row['summary']}")


def _size(row: dict[str, Any]) -> str:
    return f"{row['bytes'] / 1e6:.1f} MB" if row["present"] else "-"


def _state(row: dict[str, Any]) -> str:
    if not row["present"]:
        return "missing"
    return "verified" if row["verified"] else "damaged"
