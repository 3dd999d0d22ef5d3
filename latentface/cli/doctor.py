"""`latentface doctor`: checks what works on this machine, and says what to do about what does not."""

from __future__ import annotations

from dataclasses import asdict

import click

from latentface.cli.command import Command
from latentface.cli.flags import device_flag, network_flag, report_flags
from latentface.cli.report import Report

MARKS = {"ok": "ok", "optional": "--", "broken": "XX"}


@click.command(cls=Command, short_help="Check what works on this machine.")
@network_flag
@device_flag
@report_flags
def doctor(report: Report, network: str, device: str) -> int:
    """Check what works on this machine, and say what to do about what does not.

    Lines marked -- report something that is missing but optional. The exit code is 0 if nothing needed is broken.
    """
    from latentface.cli.checks import BROKEN, all_checks

    found = []
    for check in all_checks(network, device):
        found.append(check)
        report.say(f"{MARKS[check.status]}  {check.name:<10} {check.detail}")
        if check.advice:
            report.say(f"{'':15}{check.advice}")
    broken = [check for check in found if check.status == BROKEN]
    code = broken[0].exit_code if broken else 0
    verdict = f"{len(broken)} of {len(found)} checks are broken" if broken else "everything that is required works"
    report.say(verdict)
    report.result({"command": "doctor", "checks": [asdict(check) for check in found], "exit_code": code})
    return code
