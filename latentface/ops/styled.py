"""A whole layer of the synthesis network at once: modulated convolution, filter, noise, bias and leaky ReLU.

What the layer does besides convolving is bound by memory, so on a processor it is done in two passes over the
activations: the convolution writes them, and one pass reads them back, filters (after upsampling), scales each channel
by its demodulation, adds noise and bias and applies the leaky ReLU. Styles scale the weights instead of the
activations wherever there are fewer weights. The backward pass takes three passes; it keeps nothing but input and
output, since what went into a leaky ReLU can be told from what came out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from latentface.ops.activation import LEAKY_SLOPE, bias_act
from latentface.ops.fused import apply
from latentface.ops.modulation import demodulation, modulated_conv2d, upsampling_padding, weight_power
from latentface.ops.native import Activation, Addends, Resampling, activate, activate_backward, dense, resample, serves
from latentface.ops.precision import computing_dtype

SQRT2 = math.sqrt(2.0)
CHANNELS_LAST = torch.channels_last


class PreparedWeight:
    """A convolution's weight as the fused layer wants it, made once and made anew when the weight changes."""

    def __init__(self) -> None:
        self._key: object = None

    def prepare(self, weight: Tensor, dtype: torch.dtype, up: int) -> None:
        """Fill `scaled` (float32 at least) and `plain` (dtype), channels innermost, and `power`.

        Both are [O, I, k, k], or for up = 2 [I, O, k, k] as transposed convolutions take them; power [O, I] is the
        sum of squares over k, k.
        """
        key = (weight.data_ptr(), weight._version, weight.dtype, dtype, up)
        if key == self._key:
            return
        with torch.no_grad():
            wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
            self.power = weight_power(wide)
            self.scaled = (wide if up == 1 else wide.transpose(0, 1)).contiguous(memory_format=CHANNELS_LAST)
            self.plain = self.scaled.to(dtype)
        self._key = key


@dataclass(frozen=True)
class _Layer:
    """What a fused layer needs beside its differentiable inputs."""

    weight: Tensor
    bias: Tensor
    kernel: Tensor
    prepared: PreparedWeight
    up: int
    activation: Activation

    @property
    def padding(self) -> int:
        return self.weight.shape[2] // 2

    def resampling(self, height: int, width: int) -> Resampling:
        """The low-pass filter behind the transposed convolution, to an output of that size."""
        left, _, top, _ = upsampling_padding(self.kernel, self.padding)
        return Resampling(1, 1, (top, left), (height, width), 4.0)

    def composed(self, x: Tensor, styles: Tensor, scale: Tensor, noise: Tensor | None) -> Tensor:
        """The same numbers in plain operations."""
        weight = self.weight.to(x.dtype)
        y = modulated_conv2d(x, weight, styles, demodulate=False, up=self.up, kernel=self.kernel)
        y = y * scale.to(y.dtype)[:, :, None, None]
        return bias_act(y, self.bias, noise=noise, gain=self.activation.gain, clamp=self.activation.clamp)


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

    One fused layer where the native library serves and no weight is being trained, else one operation after the other.

    Args:
        x: [N, I, H, W].
        weight, bias: [O, I, k, k] and [O].
        styles: [N, I].
        noise: [N or 1, 1, H * up, W * up] or None.
        kernel: low-pass filter [kh, kw] of up = 2.
        prepared: kept by the caller from call to call.

    Returns:
        [N, O, H * up, W * up].
    """
    dtype = computing_dtype(x)
    trains = torch.is_grad_enabled() and (weight.requires_grad or bias.requires_grad)
    if trains or x.device.type != "cpu" or not serves(x.to(dtype)) or x.shape[0] == 0:
        y = modulated_conv2d(x, weight, styles, up=up, kernel=kernel)
        return bias_act(y, bias, noise=noise, gain=SQRT2 * gain, clamp=clamp)
    prepared = prepared or PreparedWeight()
    prepared.prepare(weight, dtype, up)
    layer = _Layer(weight, bias, kernel, prepared, up, Activation(LEAKY_SLOPE, SQRT2 * gain, clamp))
    x = x.to(dtype).contiguous(memory_format=CHANNELS_LAST)
    out: Tensor = apply(_StyledConv, x, styles, demodulation(prepared.power, styles), noise, layer)
    return out


class _StyledConv(Function):
    """x [N, I, H, W] (channels innermost), styles [N, I], demodulation [N, O], noise, a layer -> the layer's output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, styles: Tensor, scale: Tensor, noise: Tensor | None, layer: _Layer) -> Tensor:
        a = _forward(x, styles, Addends(scale, noise, layer.bias), layer)
        ctx.save_for_backward(x, styles, scale, noise, a)
        ctx.layer, ctx.weight = layer, layer.prepared.plain
        return a

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved, wanted = ctx.saved_tensors, ctx.needs_input_grad[:4]
        if not torch.is_grad_enabled():
            return *_backward(ctx.layer, ctx.weight, grads[0], saved, wanted), None
        # a derivative that is to be differentiated again
        inputs = [each for each, is_wanted in zip(saved, wanted, strict=False) if is_wanted]
        y = ctx.layer.composed(*saved[:4])
        found = iter(torch.autograd.grad(y, inputs, grads[0], create_graph=True))
        return *(next(found) if is_wanted else None for is_wanted in wanted), None


def _forward(x: Tensor, styles: Tensor, addends: Addends, layer: _Layer) -> Tensor:
    n, _, h, w = x.shape
    prepared, up = layer.prepared, layer.up
    if layer.weight[:, 0].numel() >= h * w:  # fewer activations than weights: scale those
        return _convolve(activate(x, Addends(scale=styles), Activation()), prepared.plain, addends, layer)
    size = (n, layer.weight.shape[0], h * up, w * up)
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


def _backward(
    layer: _Layer,
    weight: Tensor,
    grad: Tensor,
    saved: tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of x, styles, scale and noise where wanted."""
    x, styles, scale, noise, a = saved
    ends = activate_backward(
        dense(grad.to(a.dtype), a),
        a,
        Addends(scale, noise, layer.bias),
        layer.activation,
        (False, wanted[2], wanted[3]),
    )
    found: list[Tensor | None] = [None] * 4
    if wanted[2]:
        assert ends.scaled is not None
        found[2] = (ends.scaled / scale).to(scale.dtype)
    if wanted[3]:
        assert ends.channels is not None and noise is not None
        found[3] = (ends.channels if len(noise) == len(a) else ends.channels.sum(0, keepdim=True)).to(noise.dtype)
    if not (wanted[0] or wanted[1]):
        return found
    inner = _convolve_backward(ends.x, x, weight, layer)
    # the input was scaled by its styles: a linear activation whose gradient, and its sum, are those of the scaling
    begins = activate_backward(inner, x, Addends(scale=styles), Activation(), (False, wanted[1], False), out=inner)
    found[0] = begins.x
    found[1] = None if begins.scaled is None else begins.scaled.to(styles.dtype)
    return found


def _convolve_backward(grad: Tensor, x: Tensor, weight: Tensor, layer: _Layer) -> Tensor:
    """The gradient of the convolution's input, from that of what the activation took."""
    if layer.up == 2:
        size = tuple(2 * side + layer.weight.shape[2] - 2 for side in x.shape[2:])  # of the transposed convolution
        transposed = layer.resampling(*grad.shape[2:]).transposed(size, layer.kernel.shape)
        inner = F.conv2d(resample(grad, layer.kernel, transposed), weight, stride=2)
    else:
        pad = [layer.padding] * 2
        inner, _, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, [1, 1], pad, [1, 1], False, [0, 0], 1, [True, False, False]
        )
    return inner.contiguous(memory_format=CHANNELS_LAST)
