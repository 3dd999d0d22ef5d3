"""`latentface verify`: what pictures and clips say of their origin."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Command
from latentface.cli.flags import report_flags
from latentface.cli.report import Report
from latentface.errors import InputError

if TYPE_CHECKING:
    from latentface.provenance.verify import Verification


@click.command(cls=Command, short_help="Say where pictures and clips come from.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@report_flags
def verify(report: Report, files: tuple[Path, ...]) -> int:
    """Say what is known of where pictures and clips come from, whichever program made them.

    Content Credentials (C2PA) are checked if c2pa-python is installed, every face is searched for the invisible mark of
    latentface, and the metadata's digital source type is read. Nothing is sent anywhere.
    """
    from latentface.provenance.verify import verify as read

    told: list[dict[str, Any]] = []
    failed: InputError | None = None
    for path in files:
        try:
            found = read(path)
        except InputError as error:
            report.problem(str(error), error)
            told.append({"file": str(path), "error": str(error)})
            failed = error
            continue
        report.say("\n".join([str(path), *(f"  {line}" for line in found.meaning)]))
        told.append(_facts(found))
    code = failed.exit_code if failed else 0
    report.result({"command": "verify", "files": told, "exit_code": code})
    return code


def _facts(found: Verification) -> dict[str, Any]:
    return {
        "file": str(found.path), "made_by_network": found.made_by_network,
        "credentials": asdict(found.credentials) if found.credentials else None,
        "marks": [asdict(mark) for mark in found.marks], "false_alarms": found.false_alarms,
        "source_type": found.source_type, "software": found.software, "meaning": found.meaning,
    }  # fmt: skip
