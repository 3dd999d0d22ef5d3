"""The native operations as functions that are differentiable any number of times.

Both are linear in their gradients, so a derivative of any order is the same operation again: that of the activation
multiplies by a slope that is known from its output, and that of a resampling is the transposed resampling.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.autograd import Function

from latentface.ops.native import Activation, Addends, Resampling, activate, activate_backward, dense, resample


class Context(Protocol):
    """The context that torch gives to both passes of a Function, as far as it is used here; torch has none."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Save tensors for the backward pass, where they are available as `saved_tensors`."""

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the backward pass gets zeros, rather than None, for outputs that nothing depends on."""


class _BiasActContext(Context, Protocol):
    activation: Activation
    bias: torch.dtype | None
    noise: tuple[torch.dtype, int] | None  # dtype and number of the noise maps


class _ResampleContext(Context, Protocol):
    transposed: Resampling


def apply(function: type[Function], *inputs: object) -> Any:
    """`function.apply`, for which torch has no types."""
    return cast(Any, function).apply(*inputs)


class BiasAct(Function):
    """clamp(gain lrelu(x + noise + bias)), x [N, C, H, W], bias [C] or None, noise [N or 1, 1, H, W] or None."""

    @staticmethod
    def forward(
        ctx: _BiasActContext, x: Tensor, bias: Tensor | None, noise: Tensor | None, activation: Activation
    ) -> Tensor:
        """The value a, like x."""
        a = activate(dense(x), Addends(None, noise, bias), activation)
        ctx.save_for_backward(a)
        ctx.activation = activation
        ctx.bias = None if bias is None else bias.dtype
        ctx.noise = None if noise is None else (noise.dtype, noise.shape[0])
        return a

    @staticmethod
    def backward(ctx: _BiasActContext, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of x, bias and noise (None if not required), and None for the activation."""
        (a,) = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        x, pixels, channels = apply(BiasActSlope, grads[0], a, ctx.activation, wanted[1], wanted[2])
        bias = pixels.sum(0).to(ctx.bias) if wanted[1] else None
        noise = None
        if wanted[2]:
            assert ctx.noise is not None
            dtype, maps = ctx.noise
            noise = (channels if maps == len(a) else channels.sum(0, keepdim=True)).to(dtype)
        return x, bias, noise, None


class BiasActSlope(Function):
    """The slope g = grad da/dz for the value a, and its sums over pixels [N, C] and channels [N, 1, H, W]."""

    @staticmethod
    def forward(
        ctx: _BiasActContext, grad: Tensor, a: Tensor, activation: Activation, pixels: bool, channels: bool
    ) -> tuple[Tensor | None, ...]:
        """The gradient g [N, C, H, W] and the two sums, None if not required."""
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a)
        ctx.activation = activation
        found = activate_backward(dense(grad, a), a, Addends(), activation, (pixels, False, channels))
        return found.x, found.pixels, found.channels

    @staticmethod
    def backward(ctx: _BiasActContext, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradient of grad: the same slope once more, since g is linear in grad; None for the other inputs."""
        (a,) = ctx.saved_tensors
        x, pixels, channels = grads
        parts = [x, None if pixels is None else pixels[:, :, None, None], channels]
        total = sum((part for part in parts if part is not None), start=torch.zeros_like(a))
        return apply(BiasActSlope, total.to(a.dtype), a, ctx.activation, False, False)[0], None, None, None, None


class PixelProduct(Function):
    """weight [N, O, C] times pixels [N, P, C], as planes [N, O, P].

    The same as weight @ pixels^T, whose own backward pass gives the gradient of the pixels transposed.
    """

    @staticmethod
    def forward(ctx: Context, weight: Tensor, pixels: Tensor) -> Tensor:
        """The planes [N, O, P]."""
        ctx.save_for_backward(weight, pixels)
        return torch.bmm(weight, pixels.transpose(1, 2))

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of weight and pixels, None if not required."""
        weight, pixels = ctx.saved_tensors
        planes = grads[0].contiguous()
        of_weight = torch.bmm(planes, pixels) if ctx.needs_input_grad[0] else None
        return of_weight, torch.bmm(planes.transpose(1, 2), weight) if ctx.needs_input_grad[1] else None


class Resample(Function):
    """The operation upfirdn of x [N, C, H, W] with taps [kh, kw]."""

    @staticmethod
    def forward(ctx: _ResampleContext, x: Tensor, taps: Tensor, resampling: Resampling) -> Tensor:
        """The resampled x, [N, C, *resampling.size]."""
        ctx.save_for_backward(taps)
        ctx.transposed = resampling.transposed(x.shape, taps.shape)
        return resample(dense(x), taps, resampling)

    @staticmethod
    def backward(ctx: _ResampleContext, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x, by the transposed resampling; the taps get none."""
        (taps,) = ctx.saved_tensors
        return apply(Resample, grads[0], taps, ctx.transposed), None, None
