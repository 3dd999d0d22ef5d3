"""The site: it builds without a warning, holds every command and public name, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import click
import pytest

import latentface as lf
from latentface.cli import cli
from latentface.cli.command import walk
from latentface.pretrained.catalogue import BUILTIN

ROOT = Path(__file__).parent.parent
#: Attributes by which a page loads something by itself; links that people follow are not among them.
LOADING = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src")}


def load(path: str) -> ModuleType:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Loaded(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if (tag, name) in LOADING and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_command_has_a_section(site: Path) -> None:
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for context in walk(cli, click.Context(cli, info_name="latentface")):
        assert f'id="{context.command_path.replace(" ", "-")}"' in text
        assert all(max(param.opts, key=len) in text for param in context.command.params)


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    text = (site / "reference" / "api.html").read_text(encoding="utf-8")
    assert [name for name in lf.__all__ if name != "__version__" and f'id="latentface.{name}"' not in text] == []


def test_every_model_has_its_card(site: Path) -> None:
    assert {path.stem for path in (site / "models").glob("*.html")} >= {entry.card.stem for entry in BUILTIN}
    listed = (site / "models.html").read_text(encoding="utf-8")
    assert all(f"models/{entry.card.stem}.html" in listed for entry in BUILTIN)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(path.read_text(encoding="utf-8"))
        assert [address for address in loaded.addresses if "//" in address] == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(\W?https?:|@import", path.read_text(encoding="utf-8")), path


def test_equations_are_drawn_by_the_browser(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert "arithmatex" not in path.read_text(encoding="utf-8"), path
    assert "<math" in (site / "inversion.html").read_text(encoding="utf-8")


def test_the_gallery_is_what_its_script_writes() -> None:
    gallery = load("examples/gallery.py")
    assert (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8") == gallery.page()
    pictures = {path.stem for path in (ROOT / "docs" / "gallery").iterdir()}
    assert pictures == {sheet.name for sheet in gallery.SHEETS}


def test_the_demo_shows_its_sheet_only_where_there_is_a_screen() -> None:
    has_screen = load("examples/demo.py").has_screen
    assert not has_screen({}, "linux") and not has_screen({"DISPLAY": ""}, "linux")
    assert has_screen({"WAYLAND_DISPLAY": "wayland-0"}, "linux") and has_screen({}, "darwin")


def test_the_demo_ends_in_a_sheet_a_clip_and_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = load("examples/demo.py")
    opened: list[str] = []
    monkeypatch.setattr(demo, "EDITS", {"laughing": {"smile": 0.8}})
    monkeypatch.setattr(demo, "SECONDS", 0.2)
    monkeypatch.setattr(demo.webbrowser, "open", opened.append)
    monkeypatch.setattr(demo, "has_screen", lambda environment, platform: True)
    demo.main(tmp_path / "made")
    sheet, clip = tmp_path / "made" / "edits.png", tmp_path / "made" / "emotions.mp4"
    assert opened == [sheet.as_uri()]
    assert capsys.readouterr().out.splitlines()[-1].endswith(str(sheet))
    assert lf.read_image(sheet).shape[1] > 680 and len(list(lf.read_clip(clip))) == 5


def test_every_command_has_a_manual_page(tmp_path: Path) -> None:
    made = load("docs/manual.py").write(tmp_path)
    assert len(made) == len(list(walk(cli, click.Context(cli, info_name="latentface"))))
    text = (tmp_path / "latentface-edit.1").read_text(encoding="utf-8")
    sections = re.findall(r"^\.SH (.+)$", text, re.MULTILINE)
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"] and sections[-1] == "EXIT STATUS"
    assert r"\-\-set NAME=VALUE" in text
