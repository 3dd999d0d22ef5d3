"""Adam for one tensor: torch's own takes a second and a half to import, since it brings its compiler along."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8


class Adam:
    """Updates a tensor by its gradients, in place (Kingma and Ba 2015, algorithm 1).

    Args:
        weights: the tensor.
        rate: the learning rate.
    """

    def __init__(self, weights: Tensor, rate: float) -> None:
        self.weights, self.rate, self.count = weights, rate, 0
        self.first, self.second = torch.zeros_like(weights.detach()), torch.zeros_like(weights.detach())

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One step against a gradient of the tensor's shape."""
        self.count += 1
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        first, second = (1 - beta**self.count for beta in BETAS)
        spread = (self.second.sqrt() / second**0.5).add_(EPSILON)
        self.weights.addcdiv_(self.first, spread, value=-self.rate / first)
