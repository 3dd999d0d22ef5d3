"""Building the native library on first use, once for each source, compiler and machine, into the user's cache folder.

The folder is the one that LATENTFACE_CACHE names, or the platform's cache folder for latentface; without a home folder,
one among the temporary files. Two processes that
build at once take turns, and a library appears under its name only when it is whole. A build that failed is
remembered beside it, with the reason, so that it is tried once and not at every start.
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
# no fused multiply-adds: numpy, which computes the same numbers, has none
EXACT_FLAGS = f"{CXX_FLAGS} -ffp-contract=off"
# without a device at hand, PTX of the oldest still supported architecture serves every later one
NVCC_FLAGS = "-O3 -std=c++17 --compiler-options=-fPIC"
#: What brings nvcc where there is no CUDA toolkit.
NVCC_EXTRA = "pip install 'latentface[cuda]'"
NINJA = """rule compile
  command = {compile}
rule link
  command = {link}
build fused.o: compile {source}
build fused.so: link fused.o
"""


class BuildFailed(RuntimeError):
    """The native library cannot be built here; the message is one line that says why.

    Attributes:
        remembered: the file whose removal lets the next run try again, or None if the build was never begun.
    """

    def __init__(self, reason: str, remembered: Path | None = None) -> None:
        super().__init__(reason)
        self.remembered = remembered


@dataclass(frozen=True)
class Recipe:
    """How one library is made.

    The linker gets no OpenMP: the library takes torch's own when it is loaded, since two pools of threads in one
    process would fight for the cores.
    """

    source: Path
    compile: tuple[str, ...]
    link: tuple[str, ...]


@dataclass(frozen=True)
class Nvcc:
    """A compiler for GPUs: where it is, what it came with, and folders of libraries that it does not know itself."""

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
    """The CUDA toolkit's nvcc on the path, else the newest that came as NVIDIA's packages, else None."""
    installed = shutil.which("nvcc")
    if installed is not None:
        return Nvcc(Path(installed), "a CUDA toolkit")
    spec = importlib.util.find_spec("nvidia")  # a folder that those packages share: finding it imports nothing
    places = spec.submodule_search_locations if spec is not None else None
    found = [path for place in places or () for path in Path(place).glob("cu*/bin/nvcc")]
    if not found:
        return None
    newest = max(found, key=lambda path: int(path.parents[1].name.removeprefix("cu")))
    # its own settings look for libraries in lib64, where a toolkit has them and these packages do not
    return Nvcc(newest, "NVIDIA's Python packages", (newest.parents[1] / "lib",))


def build(device: str) -> Path:
    """The library for "cpu", "cuda", "raster" or "warp", built if it is not there yet.

    Raises:
        BuildFailed: it cannot be built, or could not the last time; `str(error)` says why.
    """
    import filelock

    made = recipe(device)
    try:
        target = folder() / f"{device}-{_key(made)}.so"
        if target.is_file():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.with_suffix(".lock")):
            if not target.is_file():  # another process may have built it meanwhile
                _build(made, target)
    except OSError as error:
        raise BuildFailed(f"the cache cannot be written: {error}") from error
    return target


def folder() -> Path:
    """Where libraries lie; it need not exist yet."""
    chosen = os.environ.get("LATENTFACE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or ("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    place = os.path.expanduser(chosen or os.path.join(base, "latentface"))
    if place.startswith("~"):  # there is no home folder
        return temporary_cache() / "ops"
    return Path(place) / "ops"


@functools.lru_cache(maxsize=1)
def temporary_cache() -> Path:
    """The user's folder among the temporary files, which serves as the cache where there is no home; said once.

    It belongs to the user alone. Where another user has taken its name, it gets one that is new each time.
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
    """Hash of everything the library depends on."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    version = subprocess.run([made.compile[0], "--version"], capture_output=True, check=False).stdout
    digest.update(repr((made.compile, made.link)).encode() + version + _machine().encode())
    return digest.hexdigest()[:16]


def _machine() -> str:
    """Name and instruction sets of the processor, for which -march=native builds."""
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
    """The line of the compiler's output that says most."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line.lower()), lines[-1] if lines else "the compiler said nothing"
    )
