"""Bias, activation, gain and clamp in one step, as every StyleGAN2 layer ends."""

from __future__ import annotations

import torch
import torch.nn.functional as F

LEAKY_SLOPE = 0.2


def bias_act(
    x: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    activation: str = "lrelu",
    gain: float = 1.0,
    clamp: float | None = None,
) -> torch.Tensor:
    """clamp(gain * activation(x + bias), -clamp, clamp).

    Args:
        x: [N, C, ...].
        bias: [C] or None.
        activation: "lrelu" (slope 0.2) or "linear".
        gain: positive factor after the activation; StyleGAN2 uses sqrt(2) after lrelu to keep the variance.

    Returns:
        Like x, in its dtype.

    Raises:
        ValueError: an unknown activation, a bias that does not match C, or a gain or clamp that is not positive.
    """
    if activation not in ("lrelu", "linear"):
        raise ValueError(f"activation {activation!r} is unknown: use 'lrelu' or 'linear'")
    if gain <= 0 or (clamp is not None and clamp <= 0):
        raise ValueError(f"gain {gain} and clamp {clamp} must be positive")
    if bias is not None:
        if bias.shape != x.shape[1:2]:
            raise ValueError(f"bias {tuple(bias.shape)} does not match the channels of x {tuple(x.shape)}")
        x = x + bias.to(x.dtype).reshape([-1, *[1] * (x.ndim - 2)])
    if activation == "lrelu":
        x = F.leaky_relu(x, LEAKY_SLOPE)
    if gain != 1.0:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)
