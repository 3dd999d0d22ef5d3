"""Layers of the generator against their formulas: scales at run time, noise, clamps, the skip branch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from latentface.networks.layers import EqualLinear, SynthesisLayer, ToRGBLayer, UpConv1x1, initialise
from latentface.ops import make_filter, modulated_conv2d, upsample2d

TAPS = make_filter((1.0, 3.0, 3.0, 1.0))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ready(layer: nn.Module, seed: int = 1) -> nn.Module:
    """The layer with weights, and with biases and noise strengths that show."""
    initialise(layer, seed)
    source = torch.Generator().manual_seed(seed)
    for name, value in layer.requires_grad_(False).named_parameters():
        if name.endswith(("bias", "noise_strength")):
            value += torch.randn(value.shape, generator=source)
    return layer


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize("activation", ["linear", "lrelu"])
def test_a_linear_layer_scales_its_weights_at_run_time(activation: str) -> None:
    layer, x = ready(EqualLinear(6, 4, lr_multiplier=0.1, activation=activation)), normal(3, 6)
    y = x @ layer.weight.T * 0.1 / math.sqrt(6) + 0.1 * layer.bias
    torch.testing.assert_close(layer(x), y if activation == "linear" else leaky(y) * math.sqrt(2))


def test_a_linear_layer_starts_at_unit_variance_and_its_bias() -> None:
    layer = EqualLinear(256, 256, lr_multiplier=0.01, bias_init=1.0)
    initialise(layer, 0)
    assert float(layer.weight.detach().std()) == pytest.approx(100.0, rel=0.02)
    torch.testing.assert_close(layer.bias.detach() * 0.01, torch.ones(256))
    assert float(layer(normal(64, 256, seed=9)).detach().std()) == pytest.approx(1.0, rel=0.1)


def test_a_linear_layer_stays_in_float32_under_autocast() -> None:
    layer, x = ready(EqualLinear(8, 8)), normal(2, 8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer(x)
    assert inside.dtype == torch.float32 and torch.equal(inside, layer(x))


@pytest.mark.parametrize("up", [1, 2])
def test_a_synthesis_layer_is_its_formula(up: int) -> None:
    layer = ready(SynthesisLayer(5, 7, 3, 8, TAPS, up=up))
    x, w, noise = normal(2, 5, 8 // up, 8 // up), normal(2, 3, seed=2), normal(1, 1, 8, 8, seed=3)
    y = modulated_conv2d(x, layer.weight, layer.affine(w), up=up, kernel=TAPS)
    y = leaky(y + layer.noise_strength * noise + layer.bias[:, None, None]) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, noise), y, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer(x, w, noise, gain=0.5), 0.5 * y, atol=1e-5, rtol=1e-5)


def test_the_clamp_of_a_synthesis_layer_shrinks_with_its_gain() -> None:
    layer = ready(SynthesisLayer(5, 7, 3, 8, TAPS, conv_clamp=0.1))
    x, w = normal(1, 5, 8, 8), normal(1, 3, seed=2)
    assert float(layer(x, w).abs().max()) == pytest.approx(0.1)
    assert float(layer(x, w, gain=0.5).abs().max()) == pytest.approx(0.05)


def test_colours_come_without_demodulation() -> None:
    layer = ready(ToRGBLayer(5, 3, 4))
    x, w = normal(2, 5, 6, 6), normal(2, 4, seed=2)
    styles = layer.affine(w) / math.sqrt(5)
    y = torch.einsum("oi,ni,nihw->nohw", layer.weight[:, :, 0, 0], styles, x) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x, w), y, atol=1e-5, rtol=1e-5)


def test_the_skip_branch_mixes_channels_and_doubles_the_size() -> None:
    layer, x = ready(UpConv1x1(5, 4, TAPS)), normal(1, 5, 3, 6)
    mixed = torch.einsum("oi,nihw->nohw", layer.weight[:, :, 0, 0] / math.sqrt(5), x)
    torch.testing.assert_close(layer(x, gain=0.7), 0.7 * upsample2d(mixed, TAPS), atol=1e-5, rtol=1e-5)


def test_one_seed_fills_a_network_the_same_way_and_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    layers = [SynthesisLayer(5, 7, 3, 8, TAPS) for _ in range(3)]
    for layer, seed in zip(layers, (4, 4, 5), strict=True):
        initialise(layer, seed)
    assert torch.equal(layers[0].weight, layers[1].weight) and torch.equal(layers[0].noise_const, layers[1].noise_const)
    assert not torch.equal(layers[0].weight, layers[2].weight)
    assert torch.equal(torch.get_rng_state(), before)
