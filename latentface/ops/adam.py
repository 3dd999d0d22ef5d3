"""Adam for one tensor: torch's own takes a second or more to import, since it brings its compiler along."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8


class Adam:
    """Updates a tensor by its gradients, in place (Kingma and Ba 2015, algorithm 1).

    Args:
        weights: the tensor.
        rate: the learning rate; it may be set anew before any step.
        betas: how much of the means of gradients and of their squares is kept at each step.
    """

    def __init__(self, weights: Tensor, rate: float, betas: tuple[float, float] = BETAS) -> None:
        self.weights, self.rate, self.betas, self.count = weights, rate, betas, 0
        self.first, self.second = torch.zeros_like(weights.detach()), torch.zeros_like(weights.detach())

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One step against a gradient of the tensor's shape."""
        self.count += 1
        self.first.lerp_(gradient, 1 - self.betas[0])
        self.second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        first, second = (1 - beta**self.count for beta in self.betas)
        spread = (self.second.sqrt() / second**0.5).add_(EPSILON)
        self.weights.addcdiv_(self.first, spread, value=-self.rate / first)
