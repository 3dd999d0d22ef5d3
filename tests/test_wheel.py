"""The built wheel: one top-level name, with everything a fresh machine needs inside."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from latentface.pretrained.catalogue import BUILTIN

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the sources, made without the network and without leaving anything in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "latentface", source / "latentface", ignore=shutil.ignore_patterns("__pycache__"))
    for link in ("ops", "cli", "pretrained"):
        (source / link).symlink_to(f"latentface/{link}")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "-w",
        "out",
        ".",
    ]
    result = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    (built,) = (source / "out").glob("*.whl")
    return zipfile.ZipFile(built)


def test_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    roots = {name.split("/")[0] for name in wheel.namelist()}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"latentface"}


def test_every_source_file_is_inside(wheel: zipfile.ZipFile) -> None:
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "latentface").rglob("*.py")}
    sources |= {str(path.relative_to(ROOT)) for path in (ROOT / "latentface/ops/csrc").iterdir()}
    assert sources <= set(wheel.namelist())
    assert "latentface/py.typed" in wheel.namelist()


def test_weights_and_model_cards_are_inside(wheel: zipfile.ZipFile) -> None:
    folder = "latentface/pretrained/weights"
    expected = {f"{folder}/SHA256SUMS"}
    for entry in BUILTIN:
        expected |= {f"{folder}/{entry.file}", f"{folder}/{entry.card.name}"}
    assert expected <= set(wheel.namelist())


def test_kernels_are_inside(wheel: zipfile.ZipFile) -> None:
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "latentface/ops/csrc").glob("*")}
    assert {name for name in wheel.namelist() if "/csrc/" in name} == sources


def test_wheel_stays_small(wheel: zipfile.ZipFile) -> None:
    weights = sum(info.file_size for info in wheel.infolist() if info.filename.endswith(".safetensors"))
    assert weights < 64e6


def test_metadata(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    (points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(metadata).decode()
    assert re.search(r"^License-Expression: MIT$|^License: MIT$", text, re.MULTILINE)
    assert "Requires-Python: >=3.10" in text
    needs = {
        re.split(r"[^\w-]", line.split(": ")[1])[0] for line in text.splitlines() if line.startswith("Requires-Dist")
    }
    assert {"torch", "numpy", "scipy", "pillow", "dlib-bin", "click", "safetensors", "moderngl", "gradio"} <= needs
    assert "filelock" in needs and "torchvision" not in needs
    assert re.search(r"^Requires-Dist: av>=14$", text, re.MULTILINE)  # its add_stream_from_template copies sound
    assert "latentface = latentface.cli:main" in wheel.read(points).decode()
