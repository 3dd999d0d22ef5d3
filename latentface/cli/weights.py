"""`latentface weights`: the networks that come with the package."""

from __future__ import annotations

from typing import Any

import click

from latentface.cli.flags import report_flags
from latentface.cli.report import Report
from latentface.errors import WeightsError


@click.group(short_help="The networks that come with the package.")
def weights() -> None:
    """The networks that come with the package."""


@weights.command("list")
@report_flags
def list_weights(report: Report) -> int:
    """Name, kind, size, checksum and licence of every built-in network."""
    rows = survey()
    head = ("NAME", "KIND", "SIZE", "STATE", "LICENCE", "SUMMARY")
    table = [head, *((r["name"], r["kind"], _size(r), _state(r), r["licence"], r["summary"]) for r in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    for line in table:
        report.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    code = 0 if all(row["verified"] for row in rows) else WeightsError.exit_code
    report.result({"command": "weights list", "weights": rows, "exit_code": code})
    return code


def survey() -> list[dict[str, Any]]:
    """Every built-in network: what the catalogue says, and whether its file is there and has its checksum."""
    from latentface.cli.outputs import hash_file
    from latentface.pretrained.catalogue import BUILTIN

    rows = []
    for entry in BUILTIN:
        present = entry.path.is_file()
        try:
            expected = entry.sha256
        except WeightsError:  # the list of checksums is damaged, so nothing can be vouched for
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


def _size(row: dict[str, Any]) -> str:
    return f"{row['bytes'] / 1e6:.1f} MB" if row["present"] else "-"


def _state(row: dict[str, Any]) -> str:
    if not row["present"]:
        return "missing"
    return "verified" if row["verified"] else "damaged"
