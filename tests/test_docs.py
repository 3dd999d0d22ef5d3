"""The documentation's examples compile and use names that are there, some run; figures that can be counted agree."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import latentface as lf
from latentface.cli import checks
from latentface.io.clip import Clip
from latentface.latents.latent import Latent
from latentface.pretrained.catalogue import BUILTIN
from tests.helpers.marks import mark_of

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Every example: its file with the number of its line, and its text."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            found.append((f"{path.relative_to(ROOT)}:{line}", match[1]))
    return found


BLOCKS = blocks()


def example(file: str, word: str) -> str:
    """The one example of a file that has a word in it."""
    (text,) = (text for name, text in BLOCKS if name.startswith(f"{file}:") and word in text)
    return text


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_examples_are_python_and_use_what_is_there(name: str, text: str) -> None:
    for node in ast.walk(ast.parse(text, filename=name)):
        if isinstance(node, ast.ImportFrom):
            exec(compile(ast.Module([node], []), name, "exec"), {})
        if not isinstance(node, ast.Attribute) or ast.unparse(node.value) not in ("lf", "latentface"):
            continue
        assert hasattr(lf, node.attr), f"{name} line {node.lineno}: latentface has no {node.attr}"


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_examples_call_our_functions_by_parameters_that_they_have(name: str, text: str) -> None:
    for node in ast.walk(ast.parse(text, filename=name)):
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).startswith("lf."):
            continue
        try:
            parameters = inspect.signature(getattr(lf, ast.unparse(node.func)[3:])).parameters
        except AttributeError:  # a method of something of ours
            continue
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        assert takes_any or {word.arg for word in node.keywords} <= set(parameters), f"{name} line {node.lineno}"


def test_the_documents_have_examples() -> None:
    assert {name.partition(":")[0] for name, _ in BLOCKS} >= {"README.md", "docs/networks.md", "docs/video.md"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    photo = Image.open(ROOT / "examples" / "astronaut.jpg").convert("RGB")
    photo.resize((photo.width // 2, photo.height // 2)).save(tmp_path / "photo.jpg", quality=95)
    pixels = lf.read_image("photo.jpg")
    frames = [np.roll(pixels, k, axis=1) for k in range(3)]
    lf.write_clip("clip.mp4", Clip.of(frames, 25, (pixels.shape[1], pixels.shape[0])))
    return tmp_path


def run(text: str, **names: Any) -> dict[str, Any]:
    space = dict(names)
    exec(compile(text, "example", "exec"), space)
    return space


def test_the_example_of_the_readme_runs(desk: Path) -> None:
    generator = lf.load_generator("face-256")
    ws = generator.w_avg.expand(generator.config.num_ws, -1)
    for name, scale in (("a", 1.0), ("b", 0.5)):
        Latent(scale * ws, generator.fingerprint).save(desk / f"{name}.latent.safetensors")
    text = example("README.md", "lf.project").replace("ProjectOptions(seed=0)", "ProjectOptions(seed=0, steps=2)")
    made = run(text)
    assert made["image"].shape == (1, 256, 256, 3) and made["p"].image.shape == (256, 256, 3)
    assert torch.allclose(made["halfway"].ws, 0.75 * ws)
    assert Latent.load(desk / "photo.latent.safetensors").fingerprint == generator.fingerprint


def test_the_example_of_directions_runs(desk: Path) -> None:
    generator = lf.load_generator()
    latent = Latent(generator.w_avg.expand(generator.config.num_ws, -1), generator.fingerprint)
    made = run(example("docs/directions.md", "load_direction"), latent=latent)
    assert made["happier"].ws.shape == latent.ws.shape and not torch.equal(made["happier"].ws, latent.ws)
    assert lf.read_image("happy.png").shape == lf.read_image("photo.jpg").shape
    assert mark_of(desk / "happy.png") == "compositeWithTrainedAlgorithmicMedia"


def test_the_example_of_motion_runs(desk: Path) -> None:
    face = lf.align(lf.read_image("photo.jpg"), size=128)[0].image
    made = run(example("docs/motion.md", "load_animator"), source=face, driving=face[:, ::-1])
    assert made["animation"].report.missing == 0 and len(list(lf.read_clip("out.mp4"))) == 3
    assert made["r"].prediction.shape == (1, 3, 128, 128)


def test_the_example_of_provenance_runs(desk: Path) -> None:
    run(example("docs/provenance.md", "source_type"))
    assert mark_of(desk / "projected.png") == "trainedAlgorithmicMedia"


def test_the_example_of_sequences_is_a_recogniser() -> None:
    made = run(example("docs/sequences.md", "Recogniser"))
    assert isinstance(made["happy_or_not"], lf.Recogniser)


def test_sizes_in_the_readme_are_those_of_the_files() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([\w-]+)` \|.*\| ([\d.]+ MB) \| \[card\]", text, re.MULTILINE))
    assert told == {entry.name: f"{entry.path.stat().st_size / 1e6:.1f} MB" for entry in BUILTIN}
    total = f"{sum(entry.path.stat().st_size for entry in BUILTIN) / 1e6:.1f} MB"
    assert re.findall(r"^\| the built-in networks together \| (.*?) \|", text, re.MULTILINE) == [total]
    assert checks.check_weights().detail.endswith(f" verified, {total}")


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = []
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    assert broken == []
