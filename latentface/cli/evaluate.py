"""`latentface evaluate`: results against references, in figures with intervals."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from latentface.cli.command import Command, flag
from latentface.cli.flags import build_options, offline_flag, options_flags, report_flags
from latentface.cli.outputs import check_outputs, naming, prepared_folder
from latentface.cli.report import Report
from latentface.errors import UsageError
from latentface.options.results import EvaluateOptions


@click.command(cls=Command, short_help="Measure results against references.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULT] [REFERENCE]")
@flag("--network", help="Measure samples of this generator, by its name or file, in place of a RESULT.")
@flag("--csv", "table", type=click.Path(path_type=Path), help="Also write a table with a row for each pair or frame.")
@options_flags(EvaluateOptions)
@offline_flag
@report_flags
def evaluate(report: Report, files: tuple[Path, ...], network: str | None, table: Path | None, **flags: Any) -> None:
    """Measure how near RESULT is to REFERENCE: two pictures, two clips, or two folders of pictures.

    Folders are compared picture by picture if every result has a reference of its name, and as sets otherwise. A clip
    without a reference is measured by itself: whether the person stays the same, and how smoothly it moves. Figures
    come with intervals of 95 %, and with the networks that measured.
    """
    if len(files) > (1 if network else 2) or not files:
        raise UsageError("expected RESULT and REFERENCE, a clip alone, or --network and a folder of references")
    options = build_options(EvaluateOptions, flags)
    check_outputs([table], files)
    began = time.perf_counter()

    from latentface import api
    from latentface.evaluation.evaluate import evaluate as measure
    from latentface.io.atomic import atomic_path

    result = api.load_generator(network) if network else files[0]
    reference = files[-1] if network or len(files) == 2 else None
    with prepared_folder(table and table.parent), report.progress() as bar:
        bar.start("measuring", 0)
        with naming(*files):
            found = measure(result, reference, options, bar.step)
        if table is not None:
            if not found.rows:
                raise UsageError("--csv has no effect on sets and on clips by themselves, which have one row")
            with atomic_path(table) as temporary:
                temporary.write_text(found.to_csv(), encoding="utf-8")
    report.notes(found.notes)
    report.say(found.table())
    report.say("measured by " + ", ".join(f"{role}: {name}" for role, name in found.judges.items()))
    report.result(
        {
            "command": "evaluate", "kind": found.kind, "files": [str(path) for path in files], "network": network,
            "figures": {name: asdict(figure) for name, figure in found.figures.items()}, "judges": found.judges,
            "options": asdict(options), "seconds": round(time.perf_counter() - began, 3), "exit_code": 0,
        }
    )  # fmt: skip
