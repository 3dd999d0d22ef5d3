"""The cost of a spliced latent: the distance of its picture from one face in appearance and from another in expression.

Each term is normalised so that 0 is agreement and 1 is the distance between the two faces: appearance terms are divided
by their value for the expression's own latent, expression terms by their value for the identity's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import UsageError
from latentface.faces.expression_measures import measure_expression, still_parts
from latentface.latents.latent import Latent
from latentface.networks.perceptual import FeatureDistance

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

#: Smallest divisor: two faces that differ by less agree in that term.
_AGREEMENT = 1e-3
_BATCH = 8


@dataclass(frozen=True, eq=False)
class FaceNetworks:
    """The networks that measure faces. All are called with FFHQ crops [N, 3, R, R] in [-1, 1].

    Attributes:
        identity: -> unit vectors [N, D].
        emotion: -> features of the expression [N, D].
        landmarks: -> [N, 68, 2] in crop units.
        perceptual: the distance outside brows, eyes and mouth.
    """

    identity: Callable[[Tensor], Tensor]
    emotion: Callable[[Tensor], Tensor]
    landmarks: Callable[[Tensor], Tensor]
    perceptual: FeatureDistance


@dataclass(frozen=True, eq=False)
class Costs:
    """Appearance and expression cost of each of N latents, [N]."""

    appearance: Tensor
    expression: Tensor

    def total(self, weight: float) -> Tensor:
        """(1 - weight) * appearance + weight * expression."""
        return (1 - weight) * self.appearance + weight * self.expression


class Objective:
    """The costs of latents between an identity's and an expression's, synthesised with the identity's noise maps.

    other: the generator of the expression's face if it differs, as after pivot tuning.
    shown: the crop of the expression's photo [1, 3, R, R] in [-1, 1], with which expressions are compared (Yang 2019
    compares with both photos); without it, they are compared with the synthesised face.
    """

    def __init__(
        self,
        generator: Generator,
        networks: FaceNetworks,
        identity: Latent,
        expression: Latent,
        other: Generator | None = None,
        shown: Tensor | None = None,
    ) -> None:
        self.generator, self.networks = generator, networks
        self.device = generator.w_avg.device
        self.noise = None
        if identity.noise is not None:
            self.noise = [each[None, None].to(self.device) for each in identity.noise]
        self.ends = torch.stack([identity.ws, expression.ws]).to(self.device)  # [2, num_ws, w_dim]
        with torch.no_grad():
            ends = self.synthesise(self.ends)
            if other is not None:
                drawn = other.synthesis(self.ends[1:], noise_mode="const", noise=self.noise).clamp(-1, 1)
                ends = torch.cat([ends[:1], drawn])
            self.picture = ends[:1]
            goal = ends[1:] if shown is None else _checked(shown.to(ends), ends)
            points = networks.landmarks(torch.cat([ends, goal]))
            self.still = still_parts(points, ends.shape[-1])
            self.embedding = networks.identity(ends[:1])
            self.features = networks.perceptual.unit_features(ends[:1])
            self.measures, self.emotion = measure_expression(points)[2:], networks.emotion(goal)
            appearance, _ = self._parts(ends[1:])
            _, expression_parts = self._parts(ends[:1])
            self.scales = [[part.clamp(min=_AGREEMENT) for part in parts] for parts in (appearance, expression_parts)]

    def synthesise(self, ws: Tensor) -> Tensor:
        """Pictures [N, 3, R, R] of ws [N, num_ws, w_dim], clamped to [-1, 1]."""
        return self.generator.synthesis(ws, noise_mode="const", noise=self.noise).clamp(-1, 1)

    def __call__(self, ws: Tensor) -> Costs:
        """The costs of ws [N, num_ws, w_dim]; differentiable."""
        parts = self._parts(self.synthesise(ws))
        means = [
            torch.stack([part / scale for part, scale in zip(side, scales, strict=True)]).mean(0)
            for side, scales in zip(parts, self.scales, strict=True)
        ]
        return Costs(*means)

    def measure(self, ws: Tensor) -> Costs:
        """The costs of any number of latents, a few at a time, without gradients."""
        with torch.no_grad():
            found = [self(part) for part in torch.split(ws.to(self.device), _BATCH)]
        return Costs(torch.cat([c.appearance for c in found]).cpu(), torch.cat([c.expression for c in found]).cpu())

    def _parts(self, pictures: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Identity and perceptual distance [N] to one face; landmark geometry and emotion [N] to the other."""
        networks = self.networks
        identity = 1 - F.cosine_similarity(networks.identity(pictures), self.embedding)
        stilled = torch.where(self.still > 0, pictures, self.picture)
        features = networks.perceptual.unit_features(stilled)
        perceptual = networks.perceptual.compare(
            features, tuple(f.expand(len(pictures), -1, -1, -1) for f in self.features)
        )
        geometry = (measure_expression(networks.landmarks(pictures)) - self.measures).square().mean(1)
        emotion = 1 - F.cosine_similarity(networks.emotion(pictures), self.emotion)
        return (identity, perceptual), (geometry, emotion)


def _checked(shown: Tensor, ends: Tensor) -> Tensor:
    if shown.shape != ends[1:].shape:
        raise UsageError(f"the expression's crop is {list(shown.shape)}; expected {list(ends[1:].shape)}")
    return shown
