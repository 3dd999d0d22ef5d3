"""When networks convolve in bfloat16, and in what context."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.precision import convolving, is_rough

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "rough"), [("bfloat16", True), ("float32", False)])
def test_a_named_precision_decides_on_any_device(precision: str, rough: bool) -> None:
    assert is_rough(precision, CPU) == is_rough(precision, torch.device("meta")) == rough


@pytest.mark.parametrize("knows", [True, False])
def test_auto_asks_the_processor(knows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: knows)
    assert is_rough("auto", CPU) == knows
    assert not is_rough("auto", torch.device("meta"))


def test_auto_is_exact_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not is_rough("auto", CPU)


def test_convolutions_run_in_bfloat16_only_if_rough() -> None:
    convolution, x = torch.nn.Conv2d(1, 1, 3), torch.zeros(1, 1, 4, 4)
    with convolving(True, CPU):
        assert convolution(x).dtype == torch.bfloat16
    with convolving(False, CPU):
        assert convolution(x).dtype == torch.float32
