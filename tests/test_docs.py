"""The documentation holds: its examples run, its links lead somewhere, and figures that can be counted agree."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path

import click
import pytest

import latentface as lf
from latentface.cli import checks, cli
from latentface.emotion import Emotion
from latentface.head.control_names import CONTROLS
from latentface.pretrained.catalogue import BUILTIN
from tests.helpers.marks import mark_of
from tests.helpers.snippets import OTHERS, ROOT, Snippet, commands, furnish, hurry, pages, run_page, snippets

BLOCKS = [snippet for page in pages() for snippet in snippets(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
GALLERY = ROOT / "docs" / "gallery.md"  # its script runs its commands, and a test holds the page to the script
RUN = [
    page for page in pages() if page != GALLERY and any(block.language in ("python", "sh") for block in snippets(page))
]


def name(block: Snippet) -> str:
    return f"{block.page}:{block.line}"


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    furnish(folder)
    return folder


@pytest.fixture
def desk(furnished: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with the files that the examples name."""
    for path in furnished.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    hurry(monkeypatch)
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=[page.relative_to(ROOT).as_posix() for page in RUN])
def test_every_example_runs(page: Path, desk: Path) -> None:
    assert run_page(page) == []


@pytest.mark.parametrize("block", PYTHON, ids=[name(block) for block in PYTHON])
def test_examples_call_our_functions_by_parameters_that_they_have(block: Snippet) -> None:
    for node in ast.walk(ast.parse(block.text, filename=name(block))):
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).startswith("lf."):
            continue
        try:
            parameters = inspect.signature(getattr(lf, ast.unparse(node.func)[3:])).parameters
        except AttributeError:  # a method of something of ours
            continue
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        assert takes_any or {word.arg for word in node.keywords} <= set(parameters), f"{name(block)}:{node.lineno}"


def test_the_commands_of_the_gallery_are_understood() -> None:
    for block in snippets(GALLERY):
        for program, *words in commands(block):
            name, command, rest = cli.resolve_command(click.Context(cli), words)
            assert program == "latentface" and command is not None
            values = command.make_context(name, rest).params
            named = {change.split("=")[0] for change in values.get("changes") or ()}
            known = {*CONTROLS, *(emotion.value for emotion in Emotion)}
            assert {each.removesuffix("+") for each in named} <= known


def test_what_examples_call_beside_us_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = set(re.findall(r'^        "(\w+)": ', (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE))
    missing = []
    for block in BLOCKS:
        for program, *words in commands(block) if block.language == "sh" else []:
            there = program in ("latentface", *OTHERS)
            if program == "make":
                there = set(words) <= targets
            elif program == "pip":
                there = set(re.findall(r"\[([\w,]+)\]", " ".join(words))) <= {*extras, "dev,synth,docs"}
            elif program == "python" and words[0] == "-m":
                there = importlib.util.find_spec(words[1]) is not None
            elif program == "python":
                there = (ROOT / words[0]).exists()
            missing += [] if there else [f"{name(block)}: {program} {' '.join(words)}"]
    assert missing == []


def test_every_block_says_its_language() -> None:
    languages = {block.language for block in BLOCKS}
    assert languages <= {"python", "sh", "text", "json", "toml", "yaml"}, languages


def test_what_is_not_run_needs_the_network_a_camera_or_a_shell() -> None:
    """Lines of our own in blocks of plain text are not run: each has a reason."""
    reasons = (
        "camera:0",
        "ffhq",
        "https:",
        "weights list",
        "inception",
        "show happiness",
        "_LATENTFACE_COMPLETE",
        "torchrun",
        "train translate",
        "train retarget",
    )
    for block in BLOCKS:
        for line in block.text.splitlines() if block.language == "text" else []:
            ours = line.startswith("latentface ")
            assert not ours or any(reason in line for reason in reasons), f"{name(block)}: {line}"


def test_the_example_of_provenance_marks_its_picture(desk: Path) -> None:
    run_page(ROOT / "docs" / "provenance.md")
    assert mark_of(desk / "projected.png") == "trainedAlgorithmicMedia"


def test_the_readme_fits_on_a_page_or_two() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_sizes_of_networks_are_those_of_the_files() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([\w-]+)` \|.*\| ([\d.]+ MB) \| \[card\]", text, re.MULTILINE))
    assert told == {entry.name: f"{entry.path.stat().st_size / 1e6:.1f} MB" for entry in BUILTIN}
    bytes_ = sum(entry.path.stat().st_size for entry in BUILTIN)
    figures = (ROOT / "docs" / "lab" / "index.md").read_text(encoding="utf-8")
    total = f"{bytes_ / 1e6:.1f} MB"
    assert re.findall(r"^\| the built-in networks together \| (.*?) \|", figures, re.MULTILINE) == [total]
    assert checks.check_weights().detail.endswith(f" verified, {total}")
    assert f"{bytes_ / 1e6:.0f} MB together" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(BUILTIN) == 26, "the README counts them in words"


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = []
    for path in (*pages(), ROOT / "CHANGELOG.md"):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            generated = path.parent.name == "docs" and target == "reference/commands.md"
            generated |= path.parent.name == "reference" and target == "commands.md"
            if "://" not in target and not generated and not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    assert broken == []
