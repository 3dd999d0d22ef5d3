"""The preconditioner of a search in W+: coordinates in which the curvature of the projector's loss is about equal.

A few of the thousands of directions of W+ change the picture a hundred times as much as the rest, and limit a search
whose steps have the same length in all of them. Here ws = start + P u, and Adam optimises u:

    P = S (I + U^T (M - I) U),   M = diag((1 + c / lambda)^-1/2)

S scales each dimension by the standard deviation of w. The rows of U are the directions with the highest curvature of
the loss, and c their curvatures: the leading eigenvectors of the loss's Gauss-Newton matrix (2 J^T J, J the Jacobian of
pixels and perceptual features) in units of S, averaged over latents of the generator (`training.preconditioner`).
Nocedal and Wright, Numerical Optimization (2006), sections 5.1 and 10.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.errors import UsageError

#: lambda, as a share of the mean curvature of the directions that are kept; directions of lower curvature are
#: unchanged.
DAMPING = 0.05


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """Coordinates for the search in one generator's W+.

    Attributes:
        directions: float32 [K, num_ws, w_dim], orthonormal.
        shares: float32 [K] in 0 ... 1, the factor for steps along each (the diagonal of M).
        deviations: float32 [w_dim], positive, with mean 1 (the diagonal of S).
        fingerprint: the fingerprint of the generator.

    Raises:
        UsageError: tensors whose shapes do not match, or values out of range.
    """

    directions: Tensor
    shares: Tensor
    deviations: Tensor
    fingerprint: str

    def __post_init__(self) -> None:
        for name in ("directions", "shares", "deviations"):
            object.__setattr__(self, name, getattr(self, name).float())
        shapes = [list(each.shape) for each in (self.directions, self.shares, self.deviations)]
        if self.directions.ndim != 3 or shapes[1:] != [shapes[0][:1], shapes[0][2:]]:
            raise UsageError(f"a preconditioner of shapes {shapes}; expected [K, num_ws, w_dim], [K] and [w_dim]")
        if not bool((self.shares > 0).all() and (self.shares <= 1).all() and (self.deviations > 0).all()):
            raise UsageError("a preconditioner with shares outside 0 ... 1, or deviations that are not positive")

    def __call__(self, coordinates: Tensor) -> Tensor:
        """The step P u in W+ [N, num_ws, w_dim] for coordinates u of the same shape."""
        basis = self.directions.flatten(1).to(coordinates)
        along = coordinates.flatten(1) @ basis.T * (self.shares.to(coordinates) - 1)
        return (coordinates + (along @ basis).view_as(coordinates)) * self.deviations.to(coordinates)

    def extended(self, num_ws: int, fingerprint: str) -> Preconditioner:
        """The preconditioner for a generator that was grown from this one; the added rows are only scaled."""
        added = num_ws - self.directions.shape[1]
        return Preconditioner(F.pad(self.directions, (0, 0, 0, added)), self.shares, self.deviations, fingerprint)

    @staticmethod
    def fit(gradients: Tensor, deviations: Tensor, count: int, fingerprint: str) -> Preconditioner:
        """Compute the preconditioner of a loss |r|^2 from products of its transposed Jacobian with white noise.

        Args:
            gradients: [M, num_ws, w_dim], the gradient of (noise * r) by ws at M latents, so that the mean of their
                outer products is J^T J.
            deviations: [w_dim], of the generator's w.
            count: K, at most M.
            fingerprint: the fingerprint of the generator.

        Raises:
            UsageError: shapes that do not match, or more directions than gradients.
        """
        if gradients.ndim != 3 or gradients.shape[2:] != deviations.shape or not 0 < count <= len(gradients):
            raise UsageError(
                f"{count} directions from gradients {list(gradients.shape)} with deviations {list(deviations.shape)}: "
                "expected [M, num_ws, w_dim] and [w_dim], and K of 1 to M"
            )
        scales = deviations / deviations.mean()
        samples = (gradients * scales).flatten(1).double()
        values, vectors = torch.linalg.eigh(
            samples @ samples.T / len(samples)
        )  # with the eigenvectors of J^T J, but smaller
        values, vectors = values.flip(0)[:count].clamp(min=0), vectors.flip(1)[:, :count]
        directions = F.normalize(vectors.T @ samples, dim=1).view(count, *gradients.shape[1:])
        curvatures = 2 * values
        shares = (1 + curvatures / (DAMPING * curvatures.mean())).rsqrt()
        return Preconditioner(directions, shares, scales, fingerprint)
