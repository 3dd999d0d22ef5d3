"""Writes a manual page for every command, made from the program itself: python docs/manual.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from latentface._version import __version__
from latentface.cli import cli
from latentface.cli.command import options_by_section, walk


def escaped(text: str) -> str:
    """Text as troff takes it: one line, without what it would read as a request."""
    line = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line


def paragraphs(text: str) -> str:
    """Help text as paragraphs of troff."""
    return "\n.PP\n".join(escaped(part) for part in text.split("\n\n"))


def page(context: click.Context) -> str:
    """The manual page of a command: name, synopsis, description, options, exit status."""
    command = context.command
    title = context.command_path.replace(" ", "-")
    usage = escaped(" ".join(command.get_usage(context).split()[1:]))
    parts = [
        f'.TH "{title.upper()}" "1" "" "latentface {__version__}" "latentface manual"',
        f".SH NAME\n{escaped(title)} \\- {escaped(command.get_short_help_str(200))}",
        f".SH SYNOPSIS\n{usage}",
        f".SH DESCRIPTION\n{paragraphs(command.help or '')}",
    ]
    for section, records in options_by_section(context).items():
        parts.append(f'.SH "{section.upper()}"')
        parts += [f".TP\n.B {escaped(names)}\n{escaped(text)}" for names, text in records]
    parts.append(f".SH EXIT STATUS\n{escaped(cli.epilog or '')}")
    return "\n".join(parts) + "\n"


def write(folder: Path) -> list[Path]:
    """Write every page; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for context in walk(cli, click.Context(cli, info_name="latentface")):
        made.append(folder / f"{context.command_path.replace(' ', '-')}.1")
        made[-1].write_text(page(context), encoding="utf-8")
    return made


if __name__ == "__main__":
    write(Path(sys.argv[1]))
