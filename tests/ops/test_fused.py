"""The differentiable native operations: each gradient against plain torch in float64, and what is not asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from latentface.ops import make_filter, native
from latentface.ops.fused import BiasAct, PixelProduct, Resample, apply
from latentface.ops.native import Activation, Resampling


@pytest.fixture(autouse=True)
def native_ops() -> Iterator[None]:
    with native.chosen("native"):
        yield


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("maps", [1, 2])
def test_the_gradients_of_an_activation_are_those_of_its_formula(maps: int) -> None:
    x, bias, noise = normal(2, 3, 4, 5), normal(3, seed=1), normal(maps, 1, 4, 5, seed=2)
    pick = normal(2, 3, 4, 5, seed=3)
    inputs = [each.requires_grad_() for each in (x, bias, noise)]
    came = apply(BiasAct, x, bias, noise, Activation(0.2, 1.5, 2.0))
    z = x + noise + bias[:, None, None]
    wanted = (1.5 * torch.where(z > 0, z, 0.2 * z)).clamp(-2.0, 2.0)
    torch.testing.assert_close(came, wanted)
    mine, theirs = (torch.autograd.grad((value * pick).sum(), inputs) for value in (came, wanted))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_that_nobody_asks_for_are_not_computed() -> None:
    x, bias = normal(1, 2, 3, 3).requires_grad_(), normal(2, seed=1)
    y = apply(BiasAct, x, bias, None, Activation(0.2))
    assert y.grad_fn.apply(torch.ones_like(y))[1:] == (None, None, None)
    weight, pixels = normal(1, 2, 4), normal(1, 5, 4, seed=1).requires_grad_()
    planes = apply(PixelProduct, weight, pixels)
    of_weight, of_pixels = planes.grad_fn.apply(torch.ones_like(planes))
    assert of_weight is None and of_pixels.shape == pixels.shape


def test_a_pixel_product_is_a_matrix_product_and_so_are_its_derivatives() -> None:
    weight, pixels = normal(2, 3, 4).requires_grad_(), normal(2, 5, 4, seed=1).requires_grad_()
    torch.testing.assert_close(apply(PixelProduct, weight, pixels), torch.einsum("noc,npc->nop", weight, pixels))
    assert gradcheck(lambda w, p: apply(PixelProduct, w, p), (weight, pixels))
    assert gradgradcheck(lambda w, p: apply(PixelProduct, w, p), (weight, pixels))


def test_the_gradient_of_a_resampling_is_its_transpose() -> None:
    """<A x, y> = <x, A^T y>, where A^T y is what the backward pass gives for y."""
    x, taps = normal(1, 2, 6, 5).requires_grad_(), make_filter((1.0, 3.0, 3.0, 1.0)).double()
    resampling = Resampling(up=2, down=1, before=(2, 2), size=(12, 10), gain=4.0)
    came = apply(Resample, x, taps, resampling)
    assert came.shape == (1, 2, 12, 10)
    y = normal(1, 2, 12, 10, seed=1)
    (back,) = torch.autograd.grad((came * y).sum(), x)
    torch.testing.assert_close((came.detach() * y).sum(), (x.detach() * back).sum())
    assert gradcheck(lambda x: apply(Resample, x, taps, resampling), (x,))
