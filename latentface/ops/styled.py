"""A whole layer of the synthesis network at once: modulated convolution, filter, noise, bias and leaky ReLU.

Everything except the convolution is limited by memory bandwidth, so on a CPU it takes only two passes over the
activations: the convolution writes them, and one pass reads them back, filters (after upsampling), scales each channel
by its demodulation, adds noise and bias and applies the leaky ReLU. Styles scale the weights instead of the activations
wherever there are fewer weights. The backward pass takes three passes; only input and output are kept, because the
input of a leaky ReLU can be recovered from its output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from latentface.ops.activation import LEAKY_SLOPE, bias_act
from latentface.ops.checksum import checksums
from latentface.ops.fused import Context, apply
from latentface.ops.modulation import demodulation, modulated_conv2d, upsampling_padding, weight_power
from latentface.ops.native import Activation, Addends, Resampling, activate, activate_backward, dense, resample, serves
from latentface.ops.precision import computing_dtype

SQRT2 = math.sqrt(2.0)
CHANNELS_LAST = torch.channels_last


@dataclass(frozen=True, eq=False)
class Prepared:
    """A convolution's weight prepared for the fused layer, channels last.

    Attributes:
        scaled, plain: [O, I, k, k], or for up = 2 [I, O, k, k] as for transposed convolutions; at least float32, and in
            the dtype of the convolution.
        power: [O, I], the sum of squares over k, k.
    """

    scaled: Tensor
    plain: Tensor
    power: Tensor


class PreparedWeight:
    """Caches a prepared weight as long as the weight's values do not change."""

    def __init__(self) -> None:
        self._kept: tuple[object, Prepared] | None = None

    def __reduce__(self) -> tuple[type[PreparedWeight], tuple[()]]:
        return PreparedWeight, ()  # a copy of the layer prepares its own

    def prepare(self, weight: Tensor, dtype: torch.dtype, up: int) -> Prepared:
        """The weight prepared for convolutions in a dtype, with upsampling by `up`."""
        key = (checksums([weight]), weight.shape, weight.dtype, dtype, up)
        kept = self._kept
        if kept is None or kept[0] != key:
            with (
                torch.inference_mode(False),
                torch.no_grad(),
            ):  # so that cached tensors can be used outside inference mode as well
                kept = self._kept = key, _prepare(weight, dtype, up)
        return kept[1]


def _prepare(weight: Tensor, dtype: torch.dtype, up: int) -> Prepared:
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    turned = wide if up == 1 else wide.transpose(0, 1)
    scaled = turned.clone(memory_format=CHANNELS_LAST)  # the weight itself may change in the meantime
    return Prepared(scaled, scaled.to(dtype), weight_power(wide))


@dataclass(frozen=True)
class _Layer:
    """The inputs of a fused layer other than the differentiable ones."""

    kernel: Tensor
    up: int
    padding: int
    activation: Activation

    def resampling(self, height: int, width: int) -> Resampling:
        """The low-pass filter after the transposed convolution, for an output of this size."""
        left, _, top, _ = upsampling_padding(self.kernel, self.padding)
        return Resampling(1, 1, (top, left), (height, width), 4.0)

    def composed(
        self, x: Tensor, styles: Tensor, scale: Tensor, noise: Tensor | None, weight: Tensor, bias: Tensor
    ) -> Tensor:
        """The same result in plain operations."""
        y = modulated_conv2d(x, weight.to(x.dtype), styles, demodulate=False, up=self.up, kernel=self.kernel)
        y = y * scale.to(y.dtype)[:, :, None, None]
        return bias_act(y, bias, noise=noise, gain=self.activation.gain, clamp=self.activation.clamp)


def styled_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor,
    noise: Tensor | None = None,
    *,
    kernel: Tensor,
    up: int = 1,
    gain: float = 1.0,
    clamp: float | None = None,
    prepared: PreparedWeight | None = None,
) -> Tensor:
    """bias_act(modulated_conv2d(x, weight, styles) + noise, bias) with leaky ReLU and gain sqrt(2) times `gain`.

    One fused layer if the native library is used on a CPU, otherwise one operation after the other.

    Args:
        x: [N, I, H, W].
        weight: [O, I, k, k].
        styles: [N, I].
        bias: [O].
        noise: [N or 1, 1, H * up, W * up] or None.
        kernel: low-pass filter [kh, kw] for up = 2.
        up: 1 or 2.
        gain: positive factor in addition to the sqrt(2) of the activation.
        clamp: positive bound of the absolute value of the result, or None for no bound.
        prepared: a cache kept by the caller between calls.

    Returns:
        [N, O, H * up, W * up].
    """
    dtype = computing_dtype(x)
    if x.device.type != "cpu" or not serves(x.to(dtype)) or x.shape[0] == 0:
        y = modulated_conv2d(x, weight, styles, up=up, kernel=kernel)
        return bias_act(y, bias, noise=noise, gain=SQRT2 * gain, clamp=clamp)
    ready = (prepared or PreparedWeight()).prepare(weight, dtype, up)
    trained = torch.is_grad_enabled() and weight.requires_grad
    scale = demodulation(weight_power(weight) if trained else ready.power, styles)
    layer = _Layer(kernel, up, weight.shape[2] // 2, Activation(LEAKY_SLOPE, SQRT2 * gain, clamp))
    x = x.to(dtype).contiguous(memory_format=CHANNELS_LAST)
    out: Tensor = apply(_StyledConv, x, styles, scale, noise, weight, bias, ready, layer)
    return out


class _StyledContext(Context, Protocol):
    layer: _Layer
    plain: Tensor


class _StyledConv(Function):
    """x [N, I, H, W] (channels last), styles [N, I], demodulation [N, O], noise, weight, bias -> the output."""

    @staticmethod
    def forward(
        ctx: _StyledContext, x: Tensor, styles: Tensor, scale: Tensor, noise: Tensor | None, weight: Tensor,
        bias: Tensor, prepared: Prepared, layer: _Layer,
    ) -> Tensor:  # fmt: skip
        a = _forward(x, styles, Addends(scale, noise, bias), prepared, layer)
        ctx.save_for_backward(x, styles, scale, noise, weight, bias, a)
        ctx.layer, ctx.plain = layer, prepared.plain
        return a

    @staticmethod
    def backward(ctx: _StyledContext, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, a = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:6]
        if not torch.is_grad_enabled():
            return *_Backward(ctx.layer, ctx.plain, *inputs).run(grads[0], a, wanted), None, None
        # a derivative that will be differentiated again
        asked = [each for each, is_wanted in zip(inputs, wanted, strict=True) if is_wanted]
        y = ctx.layer.composed(*inputs)
        found: Iterator[Tensor] = iter(torch.autograd.grad(y, asked, grads[0], create_graph=True))
        return *(next(found) if is_wanted else None for is_wanted in wanted), None, None


def _forward(x: Tensor, styles: Tensor, addends: Addends, prepared: Prepared, layer: _Layer) -> Tensor:
    n, _, h, w = x.shape
    up = layer.up
    outputs, per_input = prepared.power.shape[0], prepared.plain[0, 0].numel()
    if outputs * per_input >= h * w:  # fewer activations than weights: scale those
        return _convolve(activate(x, Addends(scale=styles), Activation()), prepared.plain, addends, layer)
    size = (n, outputs, h * up, w * up)
    out = torch.empty(size, dtype=x.dtype, memory_format=CHANNELS_LAST) if n > 1 or up > 1 else None
    for k in range(n):
        own = prepared.scaled * styles[k].view((1, -1, 1, 1) if up == 1 else (-1, 1, 1, 1)).to(prepared.scaled.dtype)
        y = _convolve(x[k : k + 1], own.to(x.dtype), addends.of(k), layer, None if out is None else out[k : k + 1])
    return y if out is None else out


def _convolve(x: Tensor, weight: Tensor, addends: Addends, layer: _Layer, out: Tensor | None = None) -> Tensor:
    """The convolution and everything that follows it; into `out`, or a new tensor."""
    if layer.up == 1:
        y = F.conv2d(x, weight, padding=layer.padding).contiguous(memory_format=CHANNELS_LAST)
        return activate(y, addends, layer.activation, out=y if out is None else out)
    y = F.conv_transpose2d(x, weight, stride=2).contiguous(memory_format=CHANNELS_LAST)
    return resample(y, layer.kernel, layer.resampling(2 * x.shape[2], 2 * x.shape[3]), addends, layer.activation, out)


@dataclass(frozen=True)
class _Backward:
    """The backward pass of a fused layer; `plain` is its weight in the form used by the convolution."""

    layer: _Layer
    plain: Tensor
    x: Tensor
    styles: Tensor
    scale: Tensor
    noise: Tensor | None
    weight: Tensor
    bias: Tensor

    def run(self, grad: Tensor, a: Tensor, wanted: Sequence[bool]) -> list[Tensor | None]:
        """The required gradients of x, styles, scale, noise, weight and bias, from that of the output a."""
        addends = Addends(self.scale, self.noise, self.bias)
        sums = (wanted[5], wanted[2], wanted[3])
        ends = activate_backward(dense(grad.to(a.dtype), a), a, addends, self.layer.activation, sums)
        found: list[Tensor | None] = [None] * 6
        if ends.scaled is not None:
            found[2] = (ends.scaled / self.scale).to(self.scale.dtype)
        if ends.channels is not None and self.noise is not None:
            own = self.noise.shape[0] == a.shape[0]
            found[3] = (ends.channels if own else ends.channels.sum(0, keepdim=True)).to(self.noise.dtype)
        if ends.pixels is not None:
            found[5] = ends.pixels.sum(0).to(self.bias.dtype)
        inner, found[4] = self._convolution(ends.x, wanted[0] or wanted[1], wanted[4])
        if inner is not None:
            # the input was scaled by its styles: a linear activation, whose backward pass gives the gradients of the
            # scaling
            sums = (False, wanted[1], False)
            begins = activate_backward(inner, self.x, Addends(scale=self.styles), Activation(), sums, out=inner)
            found[0] = begins.x
            found[1] = None if begins.scaled is None else begins.scaled.to(self.styles.dtype)
        return found

    def _convolution(self, grad: Tensor, of_input: bool, of_weight: bool) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of the convolution's scaled input and of its weight, from that of the activation's input."""
        x, layer, up = self.x, self.layer, self.layer.up
        if not (of_input or of_weight):
            return None, None
        if up == 2:
            size = tuple(2 * side + self.weight.shape[2] - 2 for side in x.shape[2:])  # of the transposed convolution
            transposed = layer.resampling(*grad.shape[2:]).transposed(size, layer.kernel.shape)
            grad = resample(grad, layer.kernel, transposed)
        scaled = (
            activate(x, Addends(scale=self.styles), Activation()) if of_weight else x
        )  # for the gradient of the weight alone
        pads = [layer.padding if up == 1 else 0] * 2
        inner, weight, _ = torch.ops.aten.convolution_backward(
            grad, scaled, self.plain, None, [up, up], pads, [1, 1], up == 2, [0, 0], 1, [of_input, of_weight, False]
        )
        if of_weight:
            weight = (weight if up == 1 else weight.transpose(0, 1)).to(self.weight.dtype)
        return inner.contiguous(memory_format=CHANNELS_LAST) if of_input else None, weight
