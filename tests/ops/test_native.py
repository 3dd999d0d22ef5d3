"""The native operations against plain torch: values and derivatives, layouts, dtypes, odd sizes; and who gets which."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from latentface.ops import bias_act, make_filter, native, upfirdn2d
from latentface.ops.native import Activation, Addends, activate, activate_backward, serves

TAPS = make_filter((1.0, 3.0, 3.0, 1.0))
LOPSIDED = torch.tensor([[1.0, -2.0, 0.5, 2.0, 1.0], [0.25, 3.0, 1.5, -1.0, 0.5]])  # no product of two lines
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1.5e-2}
LAYOUTS = ["contiguous", "channels_last", "strided"]


@pytest.fixture(autouse=True)
def native_ops() -> object:
    """Native or an error: nothing here may pass by falling back."""
    with native.chosen("native"):
        yield


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def lay(x: Tensor, layout: str) -> Tensor:
    if layout == "strided":
        wide = torch.stack([x, x + 1], dim=-1).flatten(3)  # every second column of a wider picture
        return wide[..., ::2]
    kind = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return x.contiguous(memory_format=kind)


def derivatives(function: object, inputs: list[Tensor], pick: Tensor) -> list[Tensor]:
    """The value, its gradient along `pick`, and the gradient of the gradient's length."""
    inputs = [each.clone().requires_grad_() for each in inputs]
    value = function(*inputs)
    first = torch.autograd.grad((value * pick).sum(), inputs, create_graph=True)
    length = sum((each.double() * each.double()).sum() for each in first)
    second = torch.autograd.grad(length + 0.0 * sum(each.sum() for each in inputs), inputs)
    return [value.detach(), *(each.detach() for each in first), *second]


def assert_alike(function: object, inputs: list[Tensor], pick: Tensor, tolerance: float) -> None:
    came = derivatives(function, inputs, pick)
    with native.chosen("reference"):
        expected = derivatives(function, inputs, pick)
    for one, other in zip(came, expected, strict=True):
        assert one.dtype == other.dtype
        spread = max(1.0, float(other.double().abs().max())) if other.numel() else 1.0
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance * spread)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("maps", [1, 2])
@pytest.mark.parametrize(("activation", "clamp"), [("lrelu", None), ("lrelu", 1.1), ("linear", 0.9)])
def test_bias_act_like_plain_torch(
    dtype: torch.dtype, layout: str, maps: int, activation: str, clamp: float | None
) -> None:
    x, bias, noise = draw(2, 5, 7, 9, dtype=dtype), draw(5, seed=1), draw(maps, 1, 7, 9, seed=2)
    wide = torch.promote_types(dtype, torch.float32)

    def ends(x: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        return bias_act(lay(x, layout), bias, noise=noise, activation=activation, gain=1.3, clamp=clamp)

    if dtype == torch.bfloat16:  # plain torch rounds after each step: kinks fall on other values, so look at them alone
        came, expected = ends(x, bias.to(wide), noise.to(wide)), ends(x.float(), bias.to(wide), noise.to(wide))
        torch.testing.assert_close(came.float(), expected, rtol=2**-8, atol=1e-6)
        return
    assert_alike(ends, [x, bias.to(wide), noise.to(wide)], draw(2, 5, 7, 9, dtype=dtype, seed=3), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kernel", [TAPS, LOPSIDED], ids=["separable", "lopsided"])
@pytest.mark.parametrize(
    ("up", "down", "padding"),
    [(1, 1, (1, 1, 1, 1)), (1, 1, (2, -1, 0, 3)), (2, 1, (2, 1, 2, 1)), (1, 2, (1, 2, 0, 1)), (3, 2, (4, 2, 3, 1))],
)
def test_upfirdn2d_like_plain_torch(
    dtype: torch.dtype, layout: str, kernel: Tensor, up: int, down: int, padding: tuple[int, int, int, int]
) -> None:
    x = draw(2, 3, 8, 7, dtype=dtype)

    def filtered(x: Tensor) -> Tensor:
        return upfirdn2d(lay(x, layout), kernel, up=up, down=down, padding=padding, gain=1.5)

    assert_alike(filtered, [x], draw(*filtered(x).shape, dtype=dtype, seed=1), TOLERANCE[dtype])


@pytest.mark.parametrize(
    "shape", [(0, 3, 4, 4), (2, 0, 4, 4), (1, 1, 1, 1), (3, 1, 1, 5), (1, 37, 3, 1), (1, 3, 90, 131)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_empty_and_odd_sizes(shape: tuple[int, int, int, int], layout: str) -> None:
    x = lay(draw(*shape, dtype=torch.float32), layout)
    bias = draw(shape[1], dtype=torch.float32, seed=1)
    came = bias_act(x, bias), upfirdn2d(x, TAPS, up=2, padding=(2, 1, 2, 1)), upfirdn2d(x, TAPS, padding=(2, 2, 3, 1))
    with native.chosen("reference"):
        if shape[1] == 0:  # plain torch has no convolution of no channels
            assert [each.shape[1] for each in came] == [0, 0, 0]
            return
        plain = (
            bias_act(x, bias),
            upfirdn2d(x, TAPS, up=2, padding=(2, 1, 2, 1)),
            upfirdn2d(x, TAPS, padding=(2, 2, 3, 1)),
        )
    for one, other in zip(came, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_derivatives_by_differences(layout: str) -> None:
    x, bias, noise = draw(2, 3, 4, 5).requires_grad_(), draw(3, seed=1).requires_grad_(), draw(1, 1, 4, 5, seed=2)
    noise.requires_grad_()

    def both(x: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        y = bias_act(lay(x, layout), bias, noise=noise, gain=1.4, clamp=1.5)
        return upfirdn2d(y, LOPSIDED.double(), up=2, down=3, padding=(2, 1, 0, 2))

    assert gradcheck(both, (x, bias, noise))
    assert gradgradcheck(both, (x, bias, noise))


@pytest.mark.parametrize("layout", LAYOUTS[:2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_the_gradient(layout: str, dtype: torch.dtype) -> None:
    """All three sums, with a scale of each channel, over more pixels than one piece of work holds."""
    x, scale, noise, bias = (
        draw(2, 6, 61, 67, dtype=dtype), draw(2, 6, dtype=dtype, seed=1), draw(2, 1, 61, 67, dtype=dtype, seed=2),
        draw(6, dtype=dtype, seed=3),
    )  # fmt: skip
    addends, activation = Addends(scale, noise, bias), Activation(0.2, 1.5, 2.5)
    a = activate(lay(x, layout), addends, activation)
    z = x.double() * scale.double()[:, :, None, None] + noise.double() + bias.double()[:, None, None]
    expected = (torch.where(z > 0, z, 0.2 * z) * 1.5).clamp(-2.5, 2.5)
    torch.testing.assert_close(a.double(), expected, rtol=1e-5, atol=1e-5)
    grad = draw(2, 6, 61, 67, dtype=dtype, seed=4)
    found = activate_backward(lay(grad, layout), a, addends, activation, (True, True, True))
    g = grad.double() * torch.where(z > 0, 1.5, 0.3) * (expected.abs() < 2.5)
    sums = (g.sum((2, 3)), (g * x * scale[:, :, None, None]).sum((2, 3)), g.sum(1, keepdim=True))
    for came, wanted in zip((found.pixels, found.scaled, found.channels), sums, strict=True):
        torch.testing.assert_close(came.double(), wanted, rtol=1e-4, atol=1e-3 if dtype == torch.float32 else 1e-9)
    torch.testing.assert_close(found.x.double(), g * scale.double()[:, :, None, None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing_that_matters(threads: int) -> None:
    before = torch.get_num_threads()
    x, grad = draw(2, 8, 96, 50, dtype=torch.float32), draw(2, 8, 96, 50, dtype=torch.float32, seed=1)
    try:
        torch.set_num_threads(threads)
        runs = [activate_backward(grad, x, Addends(), Activation(0.2), (True, True, True)) for _ in range(2)]
        image = upfirdn2d(x, TAPS, padding=(1, 2, 1, 2))
    finally:
        torch.set_num_threads(before)
    for name in ("x", "pixels", "scaled", "channels"):
        assert torch.equal(getattr(runs[0], name), getattr(runs[1], name)), "a run can be repeated exactly"
    with native.chosen("reference"):
        torch.testing.assert_close(image, upfirdn2d(x, TAPS, padding=(1, 2, 1, 2)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(runs[0].pixels, (grad * torch.where(x > 0, 1, 0.2)).sum((2, 3)), rtol=1e-4, atol=1e-4)


def test_rounding_to_bfloat16_is_to_nearest() -> None:
    values = torch.tensor(
        [1.0, 1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8), 3e38, math.inf, -math.inf, math.nan, 1e-40, -0.0]
    )
    x = torch.zeros(1, len(values), 1, 2, dtype=torch.bfloat16)
    came = activate(x, Addends(bias=values), Activation())[0, :, 0, 0]
    torch.testing.assert_close(came, values.to(torch.bfloat16), equal_nan=True, rtol=0, atol=0)


def test_an_array_of_another_kind_or_with_gaps_is_refused() -> None:
    numbers = np.zeros((4, 4), np.float32)
    assert native.Array(np.float32).from_param(numbers).value == numbers.ctypes.data
    for other in (numbers.astype(np.float64), numbers[:, :2]):
        with pytest.raises(TypeError, match="expected contiguous float32"):
            native.Array(np.float32).from_param(other)


class TestWhoServes:
    def test_choices(self) -> None:
        x = torch.ones(1, 1, 2, 2)
        assert serves(x) and not serves(x.half()) and not serves(x.to("meta")) and not serves(x.long())
        with native.chosen("reference"):
            assert not serves(x)
        with native.chosen("auto"):
            assert serves(x)
        with pytest.raises(ValueError, match="'fast'"):
            native.choose("fast")

    def test_tracers_see_plain_torch(self) -> None:
        class Blur(torch.nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return bias_act(upfirdn2d(x, TAPS, padding=(1, 2, 1, 2)))

        x = draw(1, 2, 8, 8, dtype=torch.float32)
        expected = Blur()(x)
        program = torch.export.export(Blur(), (x,))
        torch.testing.assert_close(program.module()(x), expected)
        batched = torch.func.vmap(Blur())(torch.stack([x, 2 * x]))
        torch.testing.assert_close(batched[0], expected)

    def test_a_traced_program_computes_and_remembers_no_numbers(self) -> None:
        x = draw(1, 2, 8, 8, dtype=torch.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own older exporter
            program = torch.jit.trace(lambda x: bias_act(upfirdn2d(x, TAPS, padding=(1, 2, 1, 2))), (x,))
            torch.testing.assert_close(program(2 * x), bias_act(upfirdn2d(2 * x, TAPS, padding=(1, 2, 1, 2))))

    @pytest.mark.parametrize("gone", ["_len_torch_dispatch_stack", "_functorch"])
    def test_transforms_see_plain_torch_without_torchs_private_names(
        self, gone: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def blur(x: Tensor) -> Tensor:
            return bias_act(upfirdn2d(x, TAPS, padding=(1, 2, 1, 2)))

        x = draw(2, 1, 2, 8, 8, dtype=torch.float32)
        expected = torch.stack([blur(each) for each in x])
        slope = torch.func.grad(lambda x: blur(x).square().sum())(x[0])
        asked: list[bool] = []

        def watching(x: Tensor) -> Tensor:
            asked.append(serves(x))
            return blur(x)

        with monkeypatch.context() as torch_of_another_day:
            if gone == "_functorch":  # the whole module is needed by vmap itself: only our way to it is taken away
                torch_of_another_day.delattr(torch._C._functorch, "peek_interpreter_stack")
            else:
                torch_of_another_day.delattr(torch._C, gone)
            assert serves(x)
            torch.testing.assert_close(torch.func.vmap(watching)(x), expected)
            torch.testing.assert_close(torch.func.grad(lambda x: watching(x).square().sum())(x[0]), slope)
        assert asked == [False, False]

    def test_no_gradient_of_the_filter_is_lost(self) -> None:
        kernel = TAPS.clone().requires_grad_()
        upfirdn2d(draw(1, 2, 8, 8, dtype=torch.float32), kernel).sum().backward()
        assert kernel.grad is not None and float(kernel.grad.abs().min()) > 0


def test_every_pair_of_layout_and_direction_agrees() -> None:
    """The same numbers whichever way the memory lies."""
    x = draw(2, 4, 12, 10, dtype=torch.float32)
    for up, down in itertools.product((1, 2), (1, 2)):
        came = [upfirdn2d(lay(x, layout), TAPS, up=up, down=down, padding=(2, 1, 2, 1)) for layout in LAYOUTS]
        torch.testing.assert_close(came[0], came[1], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(came[0], came[2], rtol=1e-6, atol=1e-6)
