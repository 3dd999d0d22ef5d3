"""Building the native library: once, by one process at a time, remembered when it fails, and never in the way."""

from __future__ import annotations

import importlib.machinery
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from latentface.cli import checks
from latentface.ops import bias_act, compiler, native
from latentface.ops.compiler import BuildFailed, build
from latentface.pretrained import cache

COMPILER = """#!/bin/sh
if [ "$1" = --version ]; then echo "stand-in $VERSION"; exit 0; fi
echo "$@" >> "{log}"
sleep 0.2
while [ $# -gt 1 ]; do [ "$1" = -o ] && echo made > "$2"; shift; done
{end}
"""


class Bench:
    """An empty cache and a stand-in for the compiler that writes down its calls."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.log, self.program = folder / "ca che", folder / "log", folder / "c++"
        self.lay()

    def lay(self, end: str = "exit 0") -> None:
        self.program.write_text(COMPILER.format(log=self.log, end=end))
        self.program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setenv("LATENTFACE_CACHE", str(made.cache))
    monkeypatch.setenv("CXX", str(made.program))
    return made


def test_it_is_built_once(bench: Bench) -> None:
    made = build("cpu")
    assert made.read_text() == "made\n" and made.parent == bench.cache / "ops"
    assert [("-c" in call, "-shared" in call) for call in bench.calls] == [(True, False), (False, True)]
    assert build("cpu") == made and len(bench.calls) == 2
    assert {path.suffix for path in made.parent.iterdir()} == {".so", ".lock"}, "nothing half made is left"


def test_another_compiler_source_or_processor_is_another_library(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {build("cpu").name}
    monkeypatch.setenv("VERSION", "2")
    names.add(build("cpu").name)
    monkeypatch.setattr(compiler, "_machine", lambda: "another processor")
    names.add(build("cpu").name)
    sources = bench.cache / "csrc"
    shutil.copytree(compiler.SOURCES, sources)
    (sources / "elementwise.h").write_text("// changed")
    monkeypatch.setattr(compiler, "SOURCES", sources)
    names.add(build("cpu").name)
    assert len(names) == 4


def test_processes_take_turns(bench: Bench) -> None:
    code = f"import runpy; print(runpy.run_path({compiler.__file__!r})['build']('cpu'))"
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    paths = {run.communicate()[0] for run in runs}
    assert all(run.returncode == 0 for run in runs)
    assert len(paths) == 1 and len(bench.calls) == 2, "one compilation, one linking"


def test_a_failure_is_remembered_until_it_is_taken_away(bench: Bench) -> None:
    bench.lay("echo 'fused.cpp:1: error: no luck'; exit 1")
    with pytest.raises(BuildFailed, match="error: no luck") as failed:
        build("cpu")
    with pytest.raises(BuildFailed, match="error: no luck") as again:
        build("cpu")
    assert len(bench.calls) == 1, "not tried twice"
    assert failed.value.remembered == again.value.remembered
    bench.lay()
    assert again.value.remembered is not None
    again.value.remembered.unlink()
    assert build("cpu").is_file()


def test_what_is_missing_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.cache.write_text("in the way")
    with pytest.raises(BuildFailed, match="cache cannot be written"):
        build("cpu")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildFailed, match="no compiler no-such-compiler"):
        build("cpu")


def test_libraries_lie_beside_the_networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (
        ("LATENTFACE_CACHE", str(tmp_path)),
        ("LATENTFACE_CACHE", ""),
        ("XDG_CACHE_HOME", str(tmp_path)),
    ):
        monkeypatch.setenv(name, value)
        assert compiler.folder() == cache.folder() / "ops"


def test_without_a_library_plain_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    with native.chosen("reference"):
        expected = bias_act(x, gain=2.0)
    monkeypatch.setattr(native, "library", lambda device: BuildFailed("no compiler"))
    assert torch.equal(bias_act(x, gain=2.0), expected)
    with pytest.raises(BuildFailed, match="no compiler"):
        native.choose("native")
    assert torch.equal(bias_act(x, gain=2.0), expected), "a refused choice changes nothing"


def test_what_cannot_be_loaded_says_so(bench: Bench) -> None:
    with pytest.raises(BuildFailed, match="cannot be loaded"):
        native._load(str(build("cpu")))


def test_the_library_shares_the_threads_of_torch() -> None:
    before = openmp_runtimes()
    with native.chosen("native"):
        bias_act(torch.ones(1, 2, 3, 3))
    assert openmp_runtimes() == before, "a second pool of threads would fight with the first"


def openmp_runtimes() -> set[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if "libgomp" in line or "libiomp" in line or "libomp" in line}


def test_importing_builds_nothing(bench: Bench) -> None:
    code = "import latentface.networks.generator"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert bench.calls == [] and not bench.cache.exists()


@pytest.fixture
def no_toolkit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without nvcc on the path; returns a folder where packages of NVIDIA's may lie."""
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    return tmp_path / "site"


def lay_nvidia(monkeypatch: pytest.MonkeyPatch, site: Path, bench: Bench, *releases: str) -> None:
    """Give each release (cu13) of the folder `nvidia` the stand-in for its nvcc."""
    for release in releases:
        place = site / "nvidia" / release / "bin"
        place.mkdir(parents=True)
        (place / "nvcc").symlink_to(bench.program)
    spec = importlib.machinery.ModuleSpec("nvidia", None, is_package=True)
    assert spec.submodule_search_locations is not None
    spec.submodule_search_locations.append(str(site / "nvidia"))
    monkeypatch.setattr(compiler.importlib.util, "find_spec", {"nvidia": spec}.get)


def test_nvcc_of_a_toolkit_goes_before_that_of_packages(
    bench: Bench, no_toolkit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiler.find_nvcc() is None
    with pytest.raises(BuildFailed, match=r"no compiler nvcc, .*latentface\[cuda\]"):
        build("cuda")
    lay_nvidia(monkeypatch, no_toolkit, bench, "cu9", "cu13")
    found = compiler.find_nvcc()
    assert found is not None and "packages" in found.origin
    assert found.path == no_toolkit / "nvidia/cu13/bin/nvcc", "the newest, by number"
    assert found.libraries == (no_toolkit / "nvidia/cu13/lib",)
    monkeypatch.setattr(compiler.shutil, "which", lambda name: f"/toolkit/bin/{name}")
    assert compiler.find_nvcc() == compiler.Nvcc(Path("/toolkit/bin/nvcc"), "a CUDA toolkit")


def test_nvcc_of_packages_builds_and_is_told_where_its_libraries_are(
    bench: Bench, no_toolkit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_nvidia(monkeypatch, no_toolkit, bench, "cu13")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert build("cuda").read_text() == "made\n"
    compiling, linking = bench.calls
    assert "-arch=sm_90" in compiling and "fused.cu" in compiling
    assert f"-L{no_toolkit}/nvidia/cu13/lib" in linking and "-shared" in linking


def test_the_doctor_says_where_nvcc_comes_from(bench: Bench, no_toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = checks._gpu_ops("cuda")
    assert "no nvcc" in missing.detail and "latentface[cuda]" in missing.advice
    lay_nvidia(monkeypatch, no_toolkit, bench, "cu13")
    found = checks._gpu_ops("cuda")
    assert str(no_toolkit / "nvidia/cu13/bin/nvcc") in found.detail and found.advice == ""


def test_the_source_for_gpus_compiles(tmp_path: Path) -> None:
    """For two generations of data-centre GPUs and as PTX for later ones, wherever nvcc exists."""
    architectures = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90,code=[sm_90,compute_90]"]
    found = compiler.find_nvcc()
    for nvcc in [found.path] if found else []:
        flags = [*compiler.NVCC_FLAGS.split(), "-O0", *architectures]
        source = compiler.SOURCES / "fused.cu"
        subprocess.run([nvcc, *flags, "-c", str(source), "-o", str(tmp_path / "fused.o")], check=True)
        listing = subprocess.run(["nm", tmp_path / "fused.o"], check=True, capture_output=True, text=True).stdout
        assert all(f" T {name}" in listing for name in native.SIGNATURES)
