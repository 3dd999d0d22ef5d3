"""What tells renders from drawings while a generator trains: patch by patch, with the R1 penalty."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

R1_WEIGHT, R1_EVERY, R1_IMAGES = 2.0, 8, 4


class PatchDiscriminator(nn.Module):
    """Pictures [N, 3, R, R] in [-1, 1] -> how real each patch looks [N, 1, R / 8, R / 8] (Isola et al. 2017, PatchGAN).

    It judges sharpness and texture; what is drawn where is the paired loss's business.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 128)) -> None:
        super().__init__()
        self.from_rgb = nn.Conv2d(3, widths[0], 3, padding=1)
        self.halvings = nn.ModuleList(
            [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)]
        )
        self.to_score = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu(self.from_rgb(images), 0.2)
        for halving in self.halvings:
            x = F.avg_pool2d(F.leaky_relu(halving(x), 0.2), 2)
        score: torch.Tensor = self.to_score(x)
        return score


class Adversary:
    """The discriminator with its optimiser; logistic losses (Goodfellow et al. 2014), R1 every few steps."""

    def __init__(self, seed: int, learning_rate: float = 1e-3) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = PatchDiscriminator().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate, betas=(0.0, 0.99))
        self.steps = 0

    def state(self) -> dict[str, Any]:
        """All of it, to go on from."""
        networks = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        return {**networks, "steps": self.steps}

    def load(self, state: dict[str, Any]) -> None:
        """The reverse of `state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]

    def gradient(self, drawn: torch.Tensor) -> torch.Tensor:
        """The gradient of the generator's loss at drawings [N, 3, R, R], in their shape."""
        drawn = drawn.detach().requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.softplus(-self.network(drawn).float()).mean()
        return torch.autograd.grad(loss, drawn)[0]

    def learn(self, real: torch.Tensor, drawn: torch.Tensor) -> float:
        """One step on real pictures and drawings; returns the loss."""
        with torch.autocast("cpu", torch.bfloat16):
            scores = self.network(torch.cat([real, drawn.detach()])).float()
        loss = F.softplus(-scores[: len(real)]).mean() + F.softplus(scores[len(real) :]).mean()
        if self.steps % R1_EVERY == 0:
            loss = loss + R1_EVERY * R1_WEIGHT / 2 * self._slope(real[:R1_IMAGES])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.steps += 1
        return float(loss.detach())

    def _slope(self, real: torch.Tensor) -> torch.Tensor:
        """R1: mean squared gradient at real pictures (Mescheder et al. 2018, eq. 9)."""
        real = real.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.network(real).mean((1, 2, 3)).sum(), real, create_graph=True)
        penalty: torch.Tensor = slope.square().sum((1, 2, 3)).mean()
        return penalty


def balanced(paired: torch.Tensor, adversarial: torch.Tensor, share: float) -> torch.Tensor:
    """The sum of two gradients, the second scaled to `share` of the first one's length (Esser et al. 2021, eq. 7)."""
    scale = share * paired.norm() / adversarial.norm().clamp(min=1e-12)
    both: torch.Tensor = paired + scale * adversarial
    return both
