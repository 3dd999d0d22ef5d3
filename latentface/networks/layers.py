"""Layers of StyleGAN2: equalised linear layer, modulated convolution with noise, to-RGB, plain upsampling convolution.

Weights are stored at unit variance and scaled at run time (equalised learning rate, Karras et al. 2018). Layers leave
their parameters uninitialised; `initialise` fills a whole network from one seed.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from latentface.ops import PreparedWeight, bias_act, modulated_conv2d, styled_conv2d, upsample2d, without_autocast

SQRT2 = math.sqrt(2.0)


class EqualLinear(nn.Module):
    """y = act(x W^T * lr / sqrt(in) + lr * b), times sqrt(2) after lrelu. Always computed in the weights' precision.

    Args:
        lr_multiplier: lr above; the mapping network learns at 0.01 of the common rate.
        bias_init: value of lr * b at the start (1 for style layers).
        activation: "linear" or "lrelu".
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        activation: str = "linear",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.lr_multiplier = lr_multiplier
        self.bias_init = bias_init
        self.activation = activation

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Normal weights of standard deviation 1 / lr_multiplier, and a bias such that lr * b equals `bias_init`."""
        nn.init.normal_(self.weight, std=1.0 / self.lr_multiplier, generator=generator)
        nn.init.constant_(self.bias, self.bias_init / self.lr_multiplier)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # [N, in] -> [N, out]
        """The layer of x [N, in]: [N, out], in the precision of the weights."""
        # styles affect every pixel of a channel, so 8 bits of mantissa would be visible, and the layer is cheap
        with without_autocast(x):
            scale = self.lr_multiplier / math.sqrt(self.weight.shape[1])
            # the input is scaled rather than the weight, because it is smaller
            y = torch.nn.functional.linear(x.to(self.weight.dtype) * scale, self.weight, self.bias * self.lr_multiplier)
            return bias_act(y, activation=self.activation, gain=SQRT2 if self.activation == "lrelu" else 1.0)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: [N, in, r, r] and w [N, w_dim] -> [N, out, R, R].

    Args:
        resolution: R of the output.
        up: 1 (r = R) or 2 (r = R / 2).
        kernel: low-pass filter [k, k] for up = 2.
        conv_clamp: the output is clamped to +- this value.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        kernel: torch.Tensor,
        *,
        up: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.noise_strength = nn.Parameter(torch.empty(()))
        self.register_buffer("noise_const", torch.empty(resolution, resolution))
        self.register_buffer("kernel", kernel, persistent=False)
        self.resolution = resolution
        self.up = up
        self.conv_clamp = conv_clamp
        self.prepared = PreparedWeight()

    noise_const: torch.Tensor
    kernel: torch.Tensor

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Standard normal weights and noise map; bias and noise strength zero."""
        nn.init.normal_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.noise_strength)
        nn.init.normal_(self.noise_const, generator=generator)

    def forward(
        self, x: torch.Tensor, w: torch.Tensor, noise: torch.Tensor | None = None, gain: float = 1.0
    ) -> torch.Tensor:
        """Noise is a map [N or 1, 1, R, R] or None; `gain` scales the output (and the clamp with it)."""
        if noise is not None:
            noise = noise * self.noise_strength
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return styled_conv2d(
            x, self.weight, self.affine(w), self.bias, noise,
            kernel=self.kernel, up=self.up, gain=gain, clamp=clamp, prepared=self.prepared,
        )  # fmt: skip


class ToRGBLayer(nn.Module):
    """Modulated 1x1 convolution without demodulation, plus bias: [N, in, R, R] -> [N, img_channels, R, R]."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, *, conv_clamp: float | None = None) -> None:
        super().__init__()
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.conv_clamp = conv_clamp

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Standard normal weights, bias zero."""
        nn.init.normal_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """The colours [N, img_channels, R, R] that x [N, in, R, R] adds to the image under w [N, w_dim]."""
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        y = modulated_conv2d(x, self.weight, styles, demodulate=False)
        return bias_act(y, self.bias, activation="linear", clamp=self.conv_clamp)


class UpConv1x1(nn.Module):
    """1x1 convolution without bias, then 2x upsampling: the skip branch of a residual block."""

    def __init__(self, in_channels: int, out_channels: int, kernel: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.register_buffer("kernel", kernel, persistent=False)

    kernel: torch.Tensor

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Standard normal weights."""
        nn.init.normal_(self.weight, generator=generator)

    def forward(self, x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:  # [N, in, r, r] -> [N, out, 2r, 2r]
        """Twice the size of x [N, in, r, r], times `gain`: [N, out, 2r, 2r]."""
        weight = self.weight * (gain / math.sqrt(self.weight.shape[1]))
        return upsample2d(nn.functional.conv2d(x, weight.to(x.dtype)), self.kernel)


def initialise(network: nn.Module, seed: int) -> None:
    """Fill every layer of `network` that has `reset_parameters(generator)`, in order, from `seed` alone."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset(generator)
