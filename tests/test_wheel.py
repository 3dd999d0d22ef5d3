"""The built wheel: one top-level name, with everything a fresh machine needs inside."""

from __future__ import annotations

import email
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from latentface.cli import checks
from latentface.ops import compiler
from latentface.pretrained.catalogue import BUILTIN

ROOT = Path(__file__).parent.parent


HOMEPAGE = "https://example.org/people/latentface"


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, made without the network and without leaving anything in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "latentface", source / "latentface", ignore=shutil.ignore_patterns("__pycache__"))
    for link in ("ops", "cli", "pretrained"):
        (source / link).symlink_to(f"latentface/{link}")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
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
    environment = {**os.environ, "LATENTFACE_HOMEPAGE": HOMEPAGE}
    result = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = (source / "out").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh environment with the wheel in it; what the wheel needs is taken from this environment."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (packages,) = {*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")}
    ours = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    elsewhere = [path for path in sys.path if Path(path).name == "site-packages"]
    # plain lines: the .pth files in those folders, one of which may lead to this checkout, are not read
    (packages / "needs.pth").write_text("\n".join({*map(str, ours), *elsewhere}), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(built)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


def call(python: Path, folder: Path, *words: str) -> str:
    """What the installed program prints; it must end well."""
    program = python.with_name("latentface.exe" if os.name == "nt" else "latentface")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["LATENTFACE_CACHE"] = str(folder / "cache")
    if not (folder / "cache").exists():  # how native operations are built is tested elsewhere
        (folder / "cache").mkdir()
        (folder / "cache" / "ops").symlink_to(compiler.folder())
    done = subprocess.run(
        [str(program), *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_works_in_a_fresh_environment(installed: Path, tmp_path: Path) -> None:
    assert call(installed, tmp_path, "--version").startswith("latentface ")
    home = [str(installed), "-c", "import latentface; print(latentface.__file__)"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found = subprocess.run(home, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert installed.parent.parent in Path(found.stdout.strip()).parents
    assert "everything that is required works" in call(installed, tmp_path, "doctor")
    call(installed, tmp_path, "sample", "--seeds", "0-1", "-o", "faces.png")
    shutil.copy(ROOT / "examples" / "astronaut.jpg", tmp_path)
    call(installed, tmp_path, "edit", "astronaut.jpg", "--set", "happiness=2")
    assert {path.name for path in tmp_path.glob("*.png")} == {"faces.png", "astronaut.edit.png"}


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
    assert weights < 68e6


def test_metadata(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    (points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(metadata).decode()
    head = email.message_from_string(text)
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)} <= set(
        head.get_all("Classifier", [])
    )
    assert set(head.get_all("License-File", [])) == {"LICENSE", "NOTICE"}
    pages = dict(line.split(", ", 1) for line in head.get_all("Project-URL", []))
    assert pages.keys() == {"Documentation", "Source", "Issues", "Changelog"}
    assert all(page.startswith(HOMEPAGE) for page in pages.values())
    assert re.search(r"^License-Expression: MIT$|^License: MIT$", text, re.MULTILINE)
    assert "Requires-Python: >=3.10" in text
    needs = {
        re.split(r"[^\w-]", line.split(": ")[1])[0] for line in text.splitlines() if line.startswith("Requires-Dist")
    }
    assert {"torch", "numpy", "scipy", "pillow", "dlib-bin", "click", "safetensors", "moderngl", "gradio"} <= needs
    assert "filelock" in needs and "torchvision" not in needs
    assert 'Requires-Dist: lpips; extra == "lpips"' in text  # it brings torchvision, which nothing else needs
    (wanted,) = re.findall(r"^Requires-Dist: av(.*)$", text, re.MULTILINE)
    assert set(wanted.split(",")) == {">=17.1", "<19"}  # see setup.py
    assert "latentface = latentface.cli:main" in wheel.read(points).decode()


def test_the_description_has_no_link_that_leads_nowhere(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    text = str(email.message_from_string(wheel.read(metadata).decode()).get_payload())
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    assert ("!", f"{HOMEPAGE}/raw/main/docs/gallery/before-after.jpg") in links and len(links) > 8
    assert all(target.startswith("https://") for _, target in links)


def test_without_a_homepage_the_description_has_no_links_to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENTFACE_HOMEPAGE", raising=False)
    given: dict[str, object] = {}
    monkeypatch.setattr("setuptools.setup", lambda **values: given.update(values))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    text = str(given["long_description"])
    assert given["project_urls"] == {} and "](" not in text and "the gallery" in text.lower()


def test_the_packages_of_the_lists_agree() -> None:
    """What `doctor` looks for, and what the wheel asks pip for, are on one list."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    block = re.search(r"install_requires=\[(.*?)\n    \],", text, re.DOTALL)
    assert block is not None
    listed = set(re.findall(r'"([\w-]+)', block[1]))
    assert {names[0] for names in checks.NEEDED} <= listed
