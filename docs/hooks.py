"""What mkdocs does beside rendering the pages of this folder: generated pages, links to model cards, equations.

Pages that are generated: the command reference (from click), the model cards and the changes (from their files). No
script or font is loaded from elsewhere: equations become MathML here.
"""

from __future__ import annotations

import html
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

import click
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from latentface.cli import cli
from latentface.cli.command import options_by_section, walk

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
    return MATHS.sub(_maths, content)


def _maths(match: re.Match[str]) -> str:
    text = html.unescape(match[3])
    made: str = convert(text, display="inline" if match[2] == "(" else "block")
    if "\\" in made:
        raise PluginError(f"equation {text!r} uses a command that latex2mathml does not know")
    return made


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
    for context in walk(cli, click.Context(cli, info_name="latentface")):
        usage = " ".join(context.command.get_usage(context).split()[1:])
        parts += [f"## {context.command_path}\n", f"```text\n{usage}\n```\n", _paragraphs(context.command.help or "")]
        for section, records in options_by_section(context).items():
            rows = [
                f"| `{names}` | {html.escape(text, quote=False).replace('|', chr(92) + '|')} |"
                for names, text in records
            ]
            parts += [f"**{section}**\n", "| option | meaning |\n|---|---|", *rows, ""]
    parts.append(f"## Exit codes\n\n{cli.epilog}\n")
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    return html.escape("\n\n".join(" ".join(part.split()) for part in text.split("\n\n")), quote=False) + "\n"
