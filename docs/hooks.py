"""What mkdocs does beside rendering the pages of this folder: generated pages, links to model cards, equations.

Pages that are generated: the command reference (from click), the model cards and the changes (from their files). No
script or font is loaded from elsewhere: equations become MathML here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

import click
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from latentface.cli import cli
from latentface.cli.command import MESSAGES, SECTIONS, Flag

ROOT = Path(__file__).parent.parent
CARDS = PurePosixPath("latentface/pretrained/weights")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
MATHS = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {f"models/{path.stem}.md": path.read_text(encoding="utf-8") for path in sorted((ROOT / CARDS).glob("*.md"))}
    pages["reference/commands.md"] = command_reference()
    pages["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to files of the repository to their pages, or, where they have none, leave their words alone."""
    return LINK.sub(lambda match: _link(match, home_of(page.file.src_uri), page.file.src_uri), markdown)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn equations into MathML, which browsers draw by themselves."""
    return MATHS.sub(lambda m: convert(html.unescape(m[3]), display="inline" if m[2] == "(" else "block"), content)


def home_of(source: str) -> str:
    """The folder in the repository that the links of a page start from."""
    if source.startswith("models/"):
        return str(CARDS)
    return "." if source == "changelog.md" else normpath(f"docs/{PurePosixPath(source).parent}")


def _link(match: re.Match[str], home: str, source: str) -> str:
    mark, text, target = match.groups()
    path, hash_, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return match[0]
    found = PurePosixPath(normpath(f"{home}/{path}"))
    if found.parent == CARDS and found.suffix == ".md":
        page = f"models/{found.name}"
    elif found == PurePosixPath("CHANGELOG.md"):
        page = "changelog.md"
    elif found.parts[0] == "docs":
        page = str(PurePosixPath(*found.parts[1:]))
    elif (ROOT / found).exists():
        return text  # a file of the repository that the site does not have
    else:
        return match[0]  # leads nowhere: mkdocs says so
    return f"{mark}[{text}]({relpath(page, str(PurePosixPath(source).parent))}{hash_}{anchor})"


def command_reference() -> str:
    """A page with every command: usage, what it does, and its options by section."""
    parts = ["# Commands\n\nMade from the program itself; `latentface COMMAND --help` says the same.\n"]
    for words, command, context in commands():
        parts += [f"## {' '.join(words)}\n", f"```text\n{' '.join(command.get_usage(context).split())}\n```\n"]
        parts.append(_paragraphs(command.help or ""))
        parts += _options(command, context)
    parts.append(f"## Exit codes\n\n{cli.epilog}\n")
    return "\n".join(parts)


def commands() -> Iterator[tuple[list[str], click.Command, click.Context]]:
    """Every command that can be run, its words from `latentface` on, and a context for it."""
    waiting: list[tuple[list[str], click.Command, click.Context]] = [
        (["latentface"], cli, click.Context(cli, info_name="latentface"))
    ]
    while waiting:
        words, command, context = waiting.pop(0)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                waiting.append(([*words, name], child, click.Context(child, context, info_name=name)))
        else:
            yield words, command, context


def _paragraphs(text: str) -> str:
    return html.escape("\n\n".join(" ".join(part.split()) for part in text.split("\n\n")), quote=False) + "\n"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    rows: dict[str, list[Any]] = {section: [] for section in SECTIONS}
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if isinstance(param, click.Option) and record is not None:
            rows[param.section if isinstance(param, Flag) else MESSAGES].append(record)
    for section in filter(rows.__getitem__, SECTIONS):
        yield f"**{section}**\n\n| | |\n|---|---|"
        for names, text in rows[section]:
            cells = (f"`{names}`".replace("|", "\\|"), html.escape(text, quote=False).replace("|", "\\|"))
            yield f"| {cells[0]} | {cells[1]} |"
        yield ""
