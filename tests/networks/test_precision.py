"""When networks convolve in bfloat16: asked for, or where the processor multiplies it, however torch tells."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentface.networks import precision
from latentface.networks.precision import convolving, is_rough, multiplies_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize(("word", "rough"), [("bfloat16", True), ("float32", False)])
def test_a_precision_that_is_named_is_taken(word: str, rough: bool) -> None:
    assert is_rough(word, CPU) is rough


@pytest.mark.parametrize("has", [True, False])
def test_auto_is_what_the_processor_has(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has, "avx2": True}, raising=False)
    assert is_rough("auto", CPU) is has
    assert not is_rough("auto", torch.device("meta"))


def test_a_processor_of_another_family_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"sve": True}, raising=False)
    assert not is_rough("auto", CPU)


@pytest.mark.parametrize(
    ("facts", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16_of_mine\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_an_older_torch_leaves_it_to_the_kernel(
    facts: str | None, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(precision, "CPU_FACTS", tmp_path / "cpuinfo")
    if facts is not None:
        (tmp_path / "cpuinfo").write_text(facts)
    assert multiplies_bfloat16() is has and is_rough("auto", CPU) is has


def test_torch_and_the_kernel_agree_here(monkeypatch: pytest.MonkeyPatch) -> None:
    told = multiplies_bfloat16()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert multiplies_bfloat16() is told


@pytest.mark.parametrize(("rough", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_convolutions_run_in_it_inside_the_block(rough: bool, dtype: torch.dtype) -> None:
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.ones(1, 3, 8, 8)
    with convolving(rough, CPU), torch.no_grad():
        assert layer(x).dtype == dtype
    assert layer(x).dtype == torch.float32
