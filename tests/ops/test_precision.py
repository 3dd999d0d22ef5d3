"""The precision that convolutions run in, and what stays out of it."""

from __future__ import annotations

import torch

from latentface.ops.precision import computes_in_half, computing_dtype, without_autocast


def test_the_dtype_is_that_of_autocast_and_float64_is_left_alone() -> None:
    single, double = torch.ones(2), torch.ones(2, dtype=torch.float64)
    assert (computing_dtype(single), computing_dtype(double)) == (torch.float32, torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        assert (computing_dtype(single), computing_dtype(double)) == (torch.bfloat16, torch.float64)


def test_half_precision_is_float16_whether_of_the_operand_or_of_autocast() -> None:
    assert computes_in_half(torch.ones(1, dtype=torch.float16))
    assert not computes_in_half(torch.ones(1)) and not computes_in_half(torch.ones(1, dtype=torch.bfloat16))
    with torch.autocast("cpu", torch.float16):
        assert computes_in_half(torch.ones(1))


def test_a_product_inside_the_context_keeps_the_precision_of_its_operands() -> None:
    x = torch.full((1, 1), 1 + 2**-12)  # bfloat16 rounds this to 1
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x):
            product = x @ x
        assert torch.is_autocast_enabled("cpu")
    assert product.dtype == torch.float32 and float(product) > 1 + 2**-12
    with without_autocast(x):
        assert not torch.is_autocast_enabled("cpu")
