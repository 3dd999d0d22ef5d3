"""The subspace of a generator's W+ that one property of a face moves: how to measure and to change it in a latent.

The latent of a face is nearly linear in the parameters of its scene: ws = mean + z D, and z = (ws - mean) E, by
regression over many faces of known scenes with all other properties controlled for (`training.expressions`). The rows
of D and the columns of E that belong to a property form an oblique projection E D of W+ onto the subspace that it
moves, along everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latentface.errors import UsageError
from latentface.latents.latent import extended


@dataclass(frozen=True, eq=False)
class Subspace:
    """K directions of W+ that a property moves, and the dual vectors that measure a step along each.

    Attributes:
        reader, basis: float32 [K, num_ws, w_dim].
        fingerprint: the fingerprint of the generator.

    Raises:
        UsageError: the tensors have wrong shapes.
    """

    reader: Tensor
    basis: Tensor
    fingerprint: str

    def __post_init__(self) -> None:
        if self.reader.ndim != 3 or self.reader.shape != self.basis.shape:
            raise UsageError(
                f"a subspace of reader {list(self.reader.shape)} and basis {list(self.basis.shape)}: expected the same "
                "[K, num_ws, w_dim]"
            )
        object.__setattr__(self, "reader", self.reader.float())
        object.__setattr__(self, "basis", self.basis.float())

    def read(self, step: Tensor) -> Tensor:
        """Coefficients [K] of a step [num_ws, w_dim] between two latents."""
        return torch.einsum("klw,lw->k", self.reader.to(step), step)

    def part(self, step: Tensor) -> Tensor:
        """The part of a step [num_ws, w_dim] that lies in this subspace."""
        return torch.einsum("k,klw->lw", self.read(step), self.basis.to(step))

    def extended(self, num_ws: int, fingerprint: str) -> Subspace:
        """The same property for a generator grown from this one: measured on the old rows, moved on all rows."""
        basis = extended(self.basis, num_ws)
        reader = torch.zeros_like(basis)
        reader[:, : self.reader.shape[1]] = self.reader
        return Subspace(reader, basis, fingerprint)

    @staticmethod
    def fit(ws: Tensor, factors: Tensor, chosen: slice, fingerprint: str, count: int, ridge: float = 50.0) -> Subspace:
        """Regress latents on factors and back.

        Args:
            ws: latents [N, num_ws, w_dim] of faces.
            factors: everything that is known about each face [N, P], so that properties that correlate with it are
                separated.
            chosen: the indices of the property's factors.
            fingerprint: the fingerprint of the generator.
            count: K; the principal directions of the property, by the spread of faces along them.
            ridge: the regularisation added to the diagonals, in samples of unit variance.

        Raises:
            UsageError: shapes that do not match, or more directions than factors.
        """
        if ws.ndim != 3 or factors.ndim != 2 or len(ws) != len(factors):
            raise UsageError(
                f"latents {list(ws.shape)} and factors {list(factors.shape)}: expected [N, L, W] and [N, P]"
            )
        width = len(range(*chosen.indices(factors.shape[1])))
        if not 0 < count <= width:
            raise UsageError(f"{count} directions of a property of {width} factors; expected 1 to {width}")
        z = (factors - factors.mean(0)) / factors.std(0).clamp(min=1e-3)
        flat = (ws - ws.mean(0)).flatten(1)
        forward = _ridge(z, flat, ridge)[chosen]  # [width, L W]
        scale = flat.std()
        back = _ridge(flat / scale, z[:, chosen], ridge) / scale  # [L W, width]
        turn, size, basis = torch.linalg.svd(forward, full_matrices=False)
        basis, reader = size[:count, None] * basis[:count], (back @ turn[:, :count]).T
        return Subspace(reader.view(count, *ws.shape[1:]), basis.view(count, *ws.shape[1:]), fingerprint)


def _ridge(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    """The linear map [P, Q] from x [N, P] to y [N, Q], by ridge regression."""
    gram = x.T @ x
    found: Tensor = torch.linalg.solve(gram + ridge * torch.eye(len(gram), dtype=x.dtype), x.T @ y)
    return found
