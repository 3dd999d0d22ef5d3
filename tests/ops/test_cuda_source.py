"""The source for GPUs, on any machine: its kernels run as one thread by a C++ compiler, against the processor's build.

Stand-ins for CUDA's headers are in `cuda_on_cpu`. What this cannot show is how kernels are launched on a device.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface.ops import compiler, make_filter, native
from latentface.ops.native import Activation, Addends, Resampling, activate, activate_backward, resample

STAND_INS = Path(__file__).parents[1] / "cuda_on_cpu"
DTYPES = [torch.float32, torch.float64, torch.bfloat16]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
LOPSIDED = torch.tensor([[1.0, -2.0, 0.5, 2.0, 1.0], [0.25, 3.0, 1.5, -1.0, 0.5]])


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The library of fused.cu, built by g++."""
    target = tmp_path_factory.mktemp("kernels") / "fused.so"
    flags = ["-O1", "-std=c++17", "-fPIC", "-shared", f"-I{STAND_INS}", "-x", "c++"]
    subprocess.run(["g++", *flags, str(compiler.SOURCES / "fused.cu"), "-o", str(target)], check=True)
    return native._load(str(target))


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture(params=LAYOUTS, ids=str)
def layout(request: pytest.FixtureRequest) -> torch.memory_format:
    return request.param


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def both(kernels: object, job: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Tensor, Tensor]]:
    """What the GPU's kernels and the processor's build make of the same job."""
    expected = job()
    with monkeypatch.context() as patch:
        patch.setattr(native, "library", lambda device: kernels)
        came = job()
    assert len(came) == len(expected)
    yield from zip(came, expected, strict=True)


def assert_alike(came: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert came.shape == expected.shape and came.stride() == expected.stride() and came.dtype == expected.dtype
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 1e-2}[dtype]
    torch.testing.assert_close(came, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("maps", [0, 1, 2])
def test_activation(kernels, dtype, layout, maps: int, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    x = draw(2, 5, 33, 37).to(dtype).contiguous(memory_format=layout)
    grad = draw(2, 5, 33, 37, seed=1).to(dtype).contiguous(memory_format=layout)
    noise = draw(maps, 1, 33, 37, seed=2) if maps else None
    addends = Addends(draw(2, 5, seed=3).abs() + 0.5, noise, draw(5, seed=4))
    activation = Activation(0.2, 1.4, 2.0)

    def job() -> list[Tensor]:
        a = activate(x, addends, activation)
        g = activate_backward(grad, a, addends, activation, (True, True, True))
        assert g.pixels is not None and g.scaled is not None and g.channels is not None
        return [a, g.x, g.pixels / 100, g.scaled / 100, g.channels]

    for came, expected in both(kernels, job, monkeypatch):
        assert_alike(came, expected, dtype)


@pytest.mark.parametrize("kernel", [make_filter((1.0, 3.0, 3.0, 1.0)), LOPSIDED], ids=["separable", "lopsided"])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_filter(kernels, dtype, layout, kernel: Tensor, up: int, down: int, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    x = draw(2, 3, 8, 7).to(dtype).contiguous(memory_format=layout)
    resampling = Resampling(up, down, (2, -1), (6, 5), 1.5)
    addends = Addends(draw(2, 3, seed=3), draw(2, 1, 6, 5, seed=2), draw(3, seed=4))

    def job() -> list[Tensor]:
        y = resample(x, kernel, resampling, addends, Activation(0.2, 1.4, 2.0))
        return [y, resample(y, kernel, resampling.transposed(x.shape, kernel.shape))]

    for came, expected in both(kernels, job, monkeypatch):
        assert_alike(came, expected, dtype)


def test_nothing_to_do_is_done(kernels, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(native, "library", lambda device: kernels)
    empty = torch.empty(0, 3, 4, 4)
    assert activate(empty, Addends(), Activation()).shape == empty.shape
    assert activate_backward(empty, empty, Addends(), Activation(), (True, True, True)).x.shape == empty.shape
