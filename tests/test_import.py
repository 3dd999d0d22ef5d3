"""Importing the package or asking for help does nothing else: no heavy library, file, folder, variable or thread."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import latentface

HEAVY = ["av", "dlib", "lpips", "moderngl", "numpy", "pulp", "scipy", "skimage", "sklearn", "torch", "torchvision"]

# Runs in a fresh interpreter: an audit hook sees files opened for writing, folders, variables, processes, connections.
PROBE = """
import json, os, sys, threading
DEEDS = {"os.mkdir", "os.putenv", "os.unsetenv", "os.rename", "os.remove", "subprocess.Popen", "socket.connect"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
seen = []
def watch(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & WRITING and args[0] != os.devnull:
        seen.append(f"open {args[0]}")
    if event in DEEDS:
        seen.append(f"{event} {args[0]}")
before = dict(os.environ)
sys.addaudithook(watch)
code = 0
%s
sys.stdout.flush()
heavy = sorted(set(%r) & set(sys.modules))
print(json.dumps({"seen": seen, "heavy": heavy, "environment": dict(os.environ) == before,
                  "threads": threading.active_count(), "code": code}))
"""


def probe(statement: str, folder: Path) -> dict[str, object]:
    environment = {**os.environ, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", PROBE % (statement, HEAVY)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    report: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return {**report, "output": result.stdout}


@pytest.mark.parametrize(
    "statement",
    [
        "import latentface",
        "import latentface; latentface.LatentfaceError; latentface.ProjectOptions; dir(latentface)",
        "from latentface.cli import run; code = run(['--help'])",
        "from latentface.cli import run; code = run(['--version'])",
        "from latentface.cli import run; code = run(['project', '--help'])",
    ],
)
def test_nothing_happens(statement: str, tmp_path: Path) -> None:
    report = probe(statement, tmp_path)
    del report["output"]
    assert report == {"seen": [], "heavy": [], "environment": True, "threads": 1, "code": 0}
    assert list(tmp_path.iterdir()) == []


def test_loggers_are_left_alone(tmp_path: Path) -> None:
    code = (
        "import logging, latentface.editor, latentface.io.camera\n"
        "loggers = [logging.root, *(logging.getLogger(name) for name in ('libav', 'latentface'))]\n"
        "print([logger.handlers for logger in loggers if logger.handlers])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert result.stdout == "[]\n"


def test_help_names_the_commands(tmp_path: Path) -> None:
    output = str(probe("from latentface.cli import run; code = run(['--help'])", tmp_path)["output"])
    assert all(command in output for command in ("project", "sample", "weights", "doctor"))


def test_the_probe_sees_what_it_should(tmp_path: Path) -> None:
    deed = "import os, torch; os.environ['LATENTFACE_TEST'] = '1'; os.mkdir('made'); open('made/file', 'w').close()"
    report = probe(deed, tmp_path)
    assert "torch" in report["heavy"] and report["environment"] is False  # type: ignore[operator]
    assert {"os.mkdir made", "open made/file"} <= set(report["seen"])  # type: ignore[call-overload]


def test_python_dash_m_is_the_command(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "latentface", "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0 and result.stdout.startswith("latentface ")


# Modules that Python has on Linux and macOS only.
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def test_nothing_asks_for_what_only_posix_has() -> None:
    asked = set()
    for path in Path(latentface.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            asked |= {(path.name, name) for name in names if name.partition(".")[0] in POSIX_ONLY}
    assert asked == set()


#: What Windows has not, or allows to administrators alone; `getuid` is asked for only where it is there.
UNIX_ONLY = {"SIGHUP", "SIGKILL", "chown", "fork", "geteuid", "killpg", "mkfifo", "setsid", "symlink", "symlink_to"}


def test_nothing_calls_what_windows_has_not() -> None:
    called = set()
    for path in Path(latentface.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in UNIX_ONLY:
                called.add((path.name, node.attr))
    assert called == set()


def test_a_network_opens_and_a_cache_is_locked_without_them(tmp_path: Path) -> None:
    statement = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(POSIX_ONLY - {"posix"})}))  # importing one is now an ImportError
import latentface
from latentface.pretrained import cache
from latentface.pretrained.published import PUBLISHED
print(latentface.load_generator("synthface-128").config.resolution)
entry = next(entry for entry in PUBLISHED if not entry.sha256)
open("mine", "wb").write(b"a network")
print(cache.adopt(entry, "mine").read_bytes().decode())
"""
    environment = {**os.environ, "LATENTFACE_CACHE": str(tmp_path / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", statement], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split("\n")[:2] == ["128", "a network"], done.stderr


#: What need not be there, or not work, when a module is imported: rendering, windows, cameras, web pages, extras.
OPTIONAL = {
    "EGL", "OpenGL", "c2pa", "cryptography", "gradio", "lpips", "mediapipe", "moderngl", "onnx", "onnxruntime",
    "onnxscript", "pillow_heif", "pyvirtualcam", "ray", "skimage", "tkinter", "torchvision",
}  # fmt: skip


def test_every_module_is_imported_without_what_is_optional_or_posix_alone(tmp_path: Path) -> None:
    root = Path(latentface.__file__).parent
    names = [
        ".".join(("latentface", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        for path in sorted(root.rglob("*.py"))
        if path.stem != "__main__" and path.parent.name != "studio"  # the page is all of the extra `ui`
    ]
    statement = f"""
import importlib, sys
import torch, scipy.optimize, sklearn, av, pulp, dlib, PIL.Image, rich.console  # others' own imports are theirs
sys.modules.update(dict.fromkeys({sorted(OPTIONAL | POSIX_ONLY - {"posix"})}))  # importing one is now an ImportError
for name in {names}:
    importlib.import_module(name)
print(len(sys.modules) > 0)
"""
    done = subprocess.run([sys.executable, "-c", statement], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_source_is_python_3_10() -> None:
    root = Path(latentface.__file__).parent
    for path in root.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
