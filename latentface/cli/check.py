"""`latentface check`: whether clips are whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Command, flag
from latentface.cli.flags import report_flags
from latentface.cli.outputs import check_outputs, prepared_folder
from latentface.cli.report import Report
from latentface.errors import InputError, UsageError

if TYPE_CHECKING:
    from latentface.io.integrity import Integrity


@click.command(cls=Command, short_help="Check whether clips are whole.")
@click.argument("clips", nargs=-1, required=True, metavar="CLIPS...")
@flag("-o", "--output", type=click.Path(path_type=Path), help="Also write the report to this file: .csv or .json.")
@report_flags
def check(report: Report, clips: tuple[str, ...], output: Path | None) -> int:
    """Check whether CLIPS, files or folders (at all depths), are whole.

    Of each, the header is read, every frame is decoded, and its difference from the one before is measured. A clip that
    is broken is reported with what is wrong, and the rest go on; the exit code is 3 then.
    """
    from latentface.batch.jobs import find_inputs
    from latentface.io.integrity import check_clip
    from latentface.io.kinds import CLIP_SUFFIXES

    if output is not None and output.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"{output}: cannot write this kind of report; end its name in .csv or .json")
    paths = [each.source for each in find_inputs(clips, CLIP_SUFFIXES)]
    check_outputs([output], paths)
    found: list[Integrity] = []
    with report.progress() as bar:
        bar.start("checking", len(paths))
        for path in paths:
            found.append(check_clip(path))
            bar.step(len(found))
    rows = [{**asdict(each), "path": str(each.path)} for each in found]
    for each in found:
        report.say(_line(each))
        if each.problem is not None:
            report.problem(f"{each.path}: {each.problem}", InputError(each.problem))
    broken = [each for each in found if each.problem is not None]
    report.say(f"{len(found) - len(broken)} whole, {len(broken)} broken")
    code = InputError.exit_code if broken else 0
    if output is not None:
        _write(output, rows)
    report.result({"command": "check", "clips": rows, "broken": len(broken), "exit_code": code})
    return code


def _line(found: Integrity) -> str:
    """A clip in words."""
    facts = (str(found.facts.get(name, "")) for name in ("container", "video", "pixels", "audio"))
    what = "/".join(fact.partition(",")[0] for fact in facts if fact)
    size = f"{found.width} x {found.height}, {found.frames} frames, {found.seconds:.2f} s"
    line = f"{found.path}: {what or 'unknown'}, {size}"
    if found.mse_mean is not None:
        line += f", frame to frame MSE {found.mse_mean:.1f}, most {found.mse_max:.1f} at {found.jump:.2f} s"
    if found.repeated:
        line += f", {found.repeated:.0%} repeated"
    return line if found.problem is None else f"{line}: BROKEN"


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from latentface.io.atomic import atomic_path
    from latentface.io.integrity import FACTS

    text = json.dumps(list(rows), indent=1)
    if path.suffix.lower() == ".csv":
        table = io.StringIO()
        plain = [{**row.pop("facts"), **row, "notes": "; ".join(row["notes"])} for row in map(dict, rows)]
        names = ("path", *FACTS, *(name for name in rows[0] if name not in ("path", "facts")))
        writer = csv.DictWriter(table, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        text = table.getvalue()
    with prepared_folder(path.parent), atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
