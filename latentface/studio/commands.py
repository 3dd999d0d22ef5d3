"""Command lines that do the same as the page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from latentface.studio.session import Edited


def edit_commands(edited: Edited, suffix: str = ".png") -> str:
    """The command lines of an edit: one for each time that changes were applied, and one for the current changes."""
    name, stem = edited.subject.name, Path(edited.subject.name).stem
    steps = [*edited.earlier, (edited.subject.number, edited.changes)]
    steps = [step for step in steps if step[1]]
    lines, source = [], name
    for count, (number, changes) in enumerate(steps, 1):
        target = f"{stem}.edit{suffix}" if count == len(steps) else f"{stem}.step{count}.png"
        lines.append(_edit(source, number, changes, target))
        source = target
    return "\n".join(lines)


def _edit(source: str, number: int, changes: Mapping[str, float], target: str) -> str:
    sets = [word for name, value in changes.items() for word in ("--set", f"{name}={value:g}")]
    return command("edit", source, "--face", str(number), *sets, "-o", target)


def command(*words: str) -> str:
    """A line for a shell: `latentface` and its arguments, quoted where necessary."""
    return shlex.join(["latentface", *words])
