"""Builds the native library on first use, once for each source, compiler and machine, in the user's cache folder.

The folder is that named by LATENTFACE_CACHE, or the platform's cache folder for latentface, or, without a home folder,
a temporary one. If two processes build at the same time, one waits, and a library appears under its name only when it
is complete. A failed build is recorded there with the reason, so that it is not tried again at every start.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "csrc"
CXX_FLAGS = "-O3 -march=native -std=c++17 -fno-math-errno -fno-trapping-math -fopenmp -fPIC"
# no fused multiply-adds, because the NumPy reference has none
EXACT_FLAGS = f"{CXX_FLAGS} -ffp-contract=off"
# PTX of the oldest architecture that is still supported works on every later one
NVCC_FLAGS = "-O3 -std=c++17 --compiler-options=-fPIC"
#: Installs nvcc if there is no CUDA toolkit.
NVCC_EXTRA = "pip install 'latentface[cuda]'"
NINJA = """rule compile
  command = {compile}
rule link
  command = {link}
build fused.o: compile {source}
build fused.so: link fused.o
"""


class BuildFailed(RuntimeError):
    """The native library cannot be built on this machine; the message is one line that says why.

    Attributes:
        remembered: the file whose removal makes the next run try again, or None if the build was never started.
    """

    def __init__(self, reason: str, remembered: Path | None = None) -> None:
        super().__init__(reason)
        self.remembered = remembered


@dataclass(frozen=True)
class Recipe:
    """The recipe for one library.

    It is linked without OpenMP and uses torch's runtime when it is loaded, since two thread pools in one process would
    compete for the cores.
    """

    source: Path
    compile: tuple[str, ...]
    link: tuple[str, ...]


@dataclass(frozen=True)
class Nvcc:
    """A compiler for GPUs: its path, its origin, and library folders that it does not find by itself."""

    path: Path
    origin: str
    libraries: tuple[Path, ...] = ()


def recipe(device: str) -> Recipe:
    """The recipe for "cpu" or "cuda", for "raster", the rasteriser, or for "warp"; BuildFailed without a compiler."""
    if device == "cuda":
        return _cuda_recipe()
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise BuildFailed(f"there is no compiler {os.environ.get('CXX', 'g++')} on the path")
    source, flags = ("fused.cpp", CXX_FLAGS) if device == "cpu" else (f"{device}.cpp", EXACT_FLAGS)
    return Recipe(SOURCES / source, (compiler, *flags.split(), "-c"), (compiler, "-shared"))


def _cuda_recipe() -> Recipe:
    compiler = find_nvcc()
    if compiler is None:
        raise BuildFailed(f"there is no compiler nvcc, neither on the path nor by {NVCC_EXTRA}")
    import torch

    major, minor = torch.cuda.get_device_capability()
    flags = (*NVCC_FLAGS.split(), f"-arch=sm_{major}{minor}")
    link = (str(compiler.path), "-shared", *(f"-L{folder}" for folder in compiler.libraries))
    return Recipe(SOURCES / "fused.cu", (str(compiler.path), *flags, "-c"), link)


def find_nvcc() -> Nvcc | None:
    """The CUDA toolkit's nvcc on the path, otherwise the newest from NVIDIA's packages, otherwise None."""
    installed = shutil.which("nvcc")
    if installed is not None:
        return Nvcc(Path(installed), "a CUDA toolkit")
    spec = importlib.util.find_spec("nvidia")  # a folder shared by those packages; finding it imports nothing
    places = spec.submodule_search_locations if spec is not None else None
    found = [path for place in places or () for path in Path(place).glob("cu*/bin/nvcc")]
    if not found:
        return None
    newest = max(found, key=lambda path: int(path.parents[1].name.removeprefix("cu")))
    # by default it looks for libraries in lib64, which exists in a toolkit but not in these packages
    return Nvcc(newest, "NVIDIA's Python packages", (newest.parents[1] / "lib",))


def build(device: str) -> Path:
    """The library for "cpu", "cuda", "raster" or "warp", built if it does not exist yet.

    Raises:
        BuildFailed: it cannot be built, or a previous attempt failed; `str(error)` says why.
    """
    import filelock

    made = recipe(device)
    try:
        target = folder() / f"{device}-{_key(made)}.so"
        if target.is_file():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.with_suffix(".lock")):
            if not target.is_file():  # another process may have built it in the meantime
                _build(made, target)
    except OSError as error:
        raise BuildFailed(f"the cache cannot be written: {error}") from error
    return target


def folder() -> Path:
    """The folder of the libraries, which need not exist yet."""
    chosen = os.environ.get("LATENTFACE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or ("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    place = os.path.expanduser(chosen or os.path.join(base, "latentface"))
    if place.startswith("~"):  # there is no home folder
        return temporary_cache() / "ops"
    return Path(place) / "ops"


@functools.lru_cache(maxsize=1)
def temporary_cache() -> Path:
    """A temporary folder of the user, used as the cache if there is no home folder; logged once.

    It belongs to the user alone. If another user has taken its name, a new name is chosen each time.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    place = Path(tempfile.gettempdir()) / f"latentface-{user}"
    with contextlib.suppress(OSError):
        place.mkdir(mode=0o700)
    try:
        found = place.lstat()
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    except OSError:
        private = False
    if not private:
        place = Path(tempfile.mkdtemp(prefix="latentface-"))
    logger.warning("there is no home folder, so the cache is %s; LATENTFACE_CACHE names another", place)
    return place


def _key(made: Recipe) -> str:
    """Hash of everything that the library depends on."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    version = subprocess.run([made.compile[0], "--version"], capture_output=True, check=False).stdout
    digest.update(repr((made.compile, made.link)).encode() + version + _machine().encode())
    return digest.hexdigest()[:16]


def _machine() -> str:
    """Name and instruction sets of the processor, which -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0].splitlines()
    except OSError:
        return platform.platform()
    return "\n".join(line for line in lines if line.startswith(("model", "flags", "Features", "CPU part")))


def _build(made: Recipe, target: Path) -> None:
    failure = target.with_suffix(".failed")
    if failure.is_file():
        raise BuildFailed(failure.read_text(encoding="utf-8").strip(), failure)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as place:
        text = NINJA.format(
            compile=_command(*made.compile, "$in", "-o", "$out"),
            link=_command(*made.link, "$in", "-o", "$out"),
            source=str(made.source).replace("$", "$$").replace(" ", "$ ").replace(":", "$:"),
        )
        Path(place, "build.ninja").write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", "ninja", "-C", place], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = _reason(done.stdout + done.stderr)
            failure.write_text(f"{reason}\n", encoding="utf-8")
            raise BuildFailed(reason, failure)
        os.replace(Path(place, "fused.so"), target)


def _command(*words: str) -> str:
    """A shell command; $in and $out are ninja's."""
    return " ".join(word if word in ("$in", "$out") else shlex.quote(word).replace("$", "$$") for word in words)


def _reason(output: str) -> str:
    """The most informative line of the compiler's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line.lower()), lines[-1] if lines else "the compiler printed nothing"
    )
