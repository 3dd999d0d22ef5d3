"""Fits the mapping network to the distribution of given codes, so that sampled z give pictures like theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from latentface.networks.generator import Generator
from latentface.networks.layers import SQRT2, EqualLinear

# A leaky ReLU is linear for positive inputs. Inputs are kept this many standard deviations above zero.
CLEARANCE = 6.0


@dataclass(frozen=True)
class Whitening:
    """Codes [n, D] as points of unit covariance: (code - mean) @ axes / deviations, axes [D, D] the principal ones."""

    mean: torch.Tensor
    axes: torch.Tensor
    deviations: torch.Tensor

    @staticmethod
    def of(codes: torch.Tensor) -> Whitening:
        """The whitening of codes [n, D], n larger than D."""
        mean = codes.mean(0)
        _, scales, axes = torch.linalg.svd(codes - mean, full_matrices=False)
        return Whitening(mean, axes.T, scales / math.sqrt(len(codes) - 1))

    def points(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [n, D] as white points [n, D]."""
        return (codes - self.mean) @ self.axes / self.deviations


@torch.no_grad()
def fit_mapping(generator: Generator, codes: torch.Tensor) -> torch.Tensor:
    """Set `generator.mapping` so that mapped z have the mean and covariance of codes [n, w_dim]; sets w_avg.

    In closed form: the layers are pushed onto the straight side of their leaky ReLUs, where the network is the affine
    map w = mean + C^(1/2) z of the Gaussian with the codes' covariance C. That shifts w by a constant, which
    is subtracted again in the biases of the style layers, so that the codes give the same pictures as before.

    Returns:
        That constant [w_dim]: the codes plus this constant now give the pictures that the codes gave.

    Raises:
        ValueError: z is narrower than w, or there are fewer codes than dimensions.
    """
    config = generator.config
    if config.z_dim < config.w_dim or len(codes) <= config.w_dim:
        raise ValueError(f"{len(codes)} codes of {config.w_dim} from z of {config.z_dim}: z and the codes must span w")
    whitening, spread = Whitening.of(codes), codes.std(0)
    mean = whitening.mean
    root = whitening.axes * whitening.deviations @ whitening.axes.T  # C^(1/2), symmetric: z_i stays close to w_i
    layers = [layer for layer in generator.mapping.children() if isinstance(layer, EqualLinear)]
    below = torch.zeros(config.z_dim)  # what the previous layer's output is raised by
    for layer in layers[:-1]:
        straight = torch.eye(layer.weight.shape[0], layer.weight.shape[1])
        below = _set_straight(layer, straight, torch.zeros(layer.weight.shape[0]), below, CLEARANCE)
    wide = torch.eye(config.w_dim, layers[-1].weight.shape[1])
    raised = _set_straight(layers[-1], root @ wide, mean, below, CLEARANCE * spread - mean)
    generator.mapping.w_avg.copy_(mean + raised)
    move_codes(generator, raised)
    return raised


@torch.no_grad()
def move_codes(generator: Generator, by: torch.Tensor) -> None:
    """Make w + by, by [w_dim], give the picture that w gave, by changing the biases of the style layers."""
    for name, module in generator.synthesis.named_modules():
        if name.endswith("affine") and isinstance(module, EqualLinear):
            module.bias.sub_(module.weight @ by / math.sqrt(module.weight.shape[1]))


def _set_straight(
    layer: EqualLinear, matrix: torch.Tensor, shift: torch.Tensor, below: torch.Tensor, up: torch.Tensor | float
) -> torch.Tensor:
    """Make the layer x + below -> matrix x + shift + up, its activation's gain of sqrt(2) included; returns `up`."""
    raised = torch.as_tensor(up).expand(layer.weight.shape[0]).clone()
    set_layer(layer, matrix / SQRT2, (shift + raised - matrix @ below) / SQRT2)
    return raised


@torch.no_grad()
def set_layer(layer: nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Let an EqualLinear compute act(weight x + bias), its learning rate multiplier and scale divided out."""
    assert isinstance(layer, EqualLinear)
    layer.weight.copy_(weight * math.sqrt(layer.weight.shape[1]) / layer.lr_multiplier)
    layer.bias.copy_(bias / layer.lr_multiplier)
