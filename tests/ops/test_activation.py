"""Bias, activation, gain and clamp against the formula, and their derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from latentface.ops import bias_act


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", ["lrelu", "linear"])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("dims", [2, 4])
def test_bias_act_against_the_formula(activation: str, clamp: float | None, dims: int) -> None:
    x = normal(*(3, 5, 4, 6)[:dims])
    bias = normal(5, seed=1)
    y = bias_act(x, bias, activation=activation, gain=1.3, clamp=clamp).numpy()
    shifted = x.numpy() + bias.numpy().reshape(1, 5, *[1] * (dims - 2))
    expected = 1.3 * (np.where(shifted < 0, 0.2 * shifted, shifted) if activation == "lrelu" else shifted)
    expected = expected if clamp is None else np.clip(expected, -clamp, clamp)
    np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_bias_act_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="bias"):
        bias_act(normal(1, 3, 2, 2), normal(4))
    with pytest.raises(ValueError, match="unknown"):
        bias_act(normal(1, 3), activation="swish")
    with pytest.raises(ValueError, match="positive"):
        bias_act(normal(1, 3), gain=0.0)


def check_twice(function: object, *inputs: torch.Tensor) -> None:
    for each in inputs:
        each.requires_grad_()
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("activation", ["lrelu", "linear"])
@pytest.mark.parametrize("clamp", [None, 1.0])
def test_bias_act_derivatives(activation: str, clamp: float | None) -> None:
    check_twice(
        lambda x, b: bias_act(x, b, activation=activation, gain=1.4, clamp=clamp), normal(2, 3, 2, 2), normal(3, seed=1)
    )
