"""The native operations as functions that can be differentiated any number of times.

Both are linear in their gradients, so a derivative of any order is the same operation again: that of the activation
multiplies by a slope that its output tells, that of a resampling is the transposed resampling.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from latentface.ops.native import Activation, Addends, Resampling, activate, activate_backward, dense, resample


def apply(function: type[Function], *inputs: object) -> Any:
    """function.apply, which torch leaves without types."""
    return cast(Any, function).apply(*inputs)


class BiasAct(Function):
    """clamp(gain lrelu(x + noise + bias)), x [N, C, H, W], bias [C] or None, noise [N or 1, 1, H, W] or None."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, noise: Tensor | None, activation: Activation) -> Tensor:
        a = activate(dense(x), Addends(None, noise, bias), activation)
        ctx.save_for_backward(a)
        ctx.activation = activation
        ctx.bias = None if bias is None else bias.dtype
        ctx.noise = None if noise is None else (noise.dtype, noise.shape[0])
        return a

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (a,) = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        x, pixels, channels = apply(BiasActSlope, grads[0], a, ctx.activation, wanted[1], wanted[2])
        bias = pixels.sum(0).to(ctx.bias) if wanted[1] else None
        noise = None
        if wanted[2]:
            dtype, maps = ctx.noise
            noise = (channels if maps == len(a) else channels.sum(0, keepdim=True)).to(dtype)
        return x, bias, noise, None


class BiasActSlope(Function):
    """g = grad da/dz for the value a, its sums over pixels [N, C] and over channels [N, 1, H, W] where wanted."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, a: Tensor, activation: Activation, pixels: bool, channels: bool
    ) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a)
        ctx.activation = activation
        found = activate_backward(dense(grad, a), a, Addends(), activation, (pixels, False, channels))
        return found.x, found.pixels, found.channels

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
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
    def forward(ctx: Any, weight: Tensor, pixels: Tensor) -> Tensor:
        ctx.save_for_backward(weight, pixels)
        return torch.bmm(weight, pixels.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, pixels = ctx.saved_tensors
        planes = grads[0].contiguous()
        of_weight = torch.bmm(planes, pixels) if ctx.needs_input_grad[0] else None
        return of_weight, torch.bmm(planes.transpose(1, 2), weight) if ctx.needs_input_grad[1] else None


class Resample(Function):
    """upfirdn of x [N, C, H, W] with taps [kh, kw]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, resampling: Resampling) -> Tensor:
        ctx.save_for_backward(taps)
        ctx.transposed = resampling.transposed(x.shape, taps.shape)
        return resample(dense(x), taps, resampling)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (taps,) = ctx.saved_tensors
        return apply(Resample, grads[0], taps, ctx.transposed), None, None
