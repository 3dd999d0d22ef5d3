"""Bias, activation, gain and clamp in one step, which ends every StyleGAN2 layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from latentface.ops.fused import BiasAct, apply
from latentface.ops.native import Activation, serves

LEAKY_SLOPE = 0.2


def bias_act(
    x: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    noise: torch.Tensor | None = None,
    activation: str = "lrelu",
    gain: float = 1.0,
    clamp: float | None = None,
) -> torch.Tensor:
    """clamp(gain * activation(x + noise + bias), -clamp, clamp).

    Args:
        x: [N, C, ...].
        bias: [C] or None.
        noise: [N or 1, 1, ...] or None, the same for every channel.
        activation: "lrelu" (slope 0.2) or "linear".
        gain: positive factor after the activation; StyleGAN2 uses sqrt(2) after lrelu to keep the variance.
        clamp: positive bound of the absolute value of the result, or None for no bound.

    Returns:
        Like x, in its dtype.

    Raises:
        ValueError: an unknown activation, bias or noise that do not match x, or a gain or clamp that is not positive.
    """
    if activation not in ("lrelu", "linear"):
        raise ValueError(f"activation {activation!r} is unknown: use 'lrelu' or 'linear'")
    if gain <= 0 or (clamp is not None and clamp <= 0):
        raise ValueError(f"gain {gain} and clamp {clamp} must be positive")
    if bias is not None and bias.shape != x.shape[1:2]:
        raise ValueError(f"bias {tuple(bias.shape)} does not match the channels of x {tuple(x.shape)}")
    if noise is not None and (noise.shape[0] not in (1, x.shape[0]) or noise.shape[1:] != (1, *x.shape[2:])):
        raise ValueError(f"noise {tuple(noise.shape)} does not match x {tuple(x.shape)}: expected [N or 1, 1, ...]")
    if x.ndim == 4 and serves(x):
        slope = LEAKY_SLOPE if activation == "lrelu" else 1.0
        y: torch.Tensor = apply(BiasAct, x, bias, noise, Activation(slope, gain, clamp))
        return y
    if noise is not None:
        x = x + noise.to(x.dtype)
    if bias is not None:
        x = x + bias.to(x.dtype).reshape([-1, *[1] * (x.ndim - 2)])
    if activation == "lrelu":
        x = F.leaky_relu(x, LEAKY_SLOPE)
    if gain != 1.0:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)
