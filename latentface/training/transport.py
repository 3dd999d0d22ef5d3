"""Iterative distribution transfer (Pitie, Kokaram and Dahyot 2007): transports one set of points onto another.

Each round projects both sets onto a few orthogonal axes and moves every point by the monotone map between the two
marginal distributions. Points do not move far, so a small network can learn the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

KNOTS = 128  # of a monotone map


@dataclass(frozen=True)
class Round:
    """Monotone maps along orthogonal axes [D, K]: from the knots `source` [K, Q] to `target` [K, Q], both ascending."""

    axes: Tensor
    source: Tensor
    target: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Points [N, D], moved; beyond the outermost knots by as much as these."""
        along = (points @ self.axes).T.contiguous()
        above = torch.searchsorted(self.source, along).clamp(1, self.source.shape[1] - 1)
        (x0, x1), (y0, y1) = ([k.gather(1, above - 1), k.gather(1, above)] for k in (self.source, self.target))
        within = torch.minimum(torch.maximum(along, self.source[:, :1]), self.source[:, -1:])
        moved = torch.lerp(y0, y1, (within - x0) / (x1 - x0).clamp(min=1e-6)) + along - within
        return points + (moved - along).T @ self.axes.T


def fit(points: Tensor, goal: Tensor, axes: Callable[[int], Tensor], rounds: int) -> list[Round]:
    """Fit the rounds that transport points [N, D] onto the set `goal` [M, D]; axes(k) are those of round k, [D, K]."""
    found = []
    for k in range(rounds):
        along = axes(k)
        found.append(Round(along, _quantiles(points @ along), _quantiles(goal @ along)))
        points = found[-1](points)
    return found


def carry(points: Tensor, rounds: Sequence[Round]) -> Tensor:
    """Points [N, D] through all rounds."""
    for each in rounds:
        points = each(points)
    return points


def sparse_axes(directions: Tensor, count: int, random: torch.Generator, most: int = 4) -> Tensor:
    """Orthogonal axes [D, count], each but for that a random mix of 1 to `most` of the directions [D, P].

    A mix of many looks Gaussian, whatever each of them is (Diaconis and Freedman 1984), and would show nothing.
    """
    axes = directions.new_zeros(len(directions), count)
    for k in range(count):
        size = 1 + int(torch.randint(most, (), generator=random))
        chosen = torch.randint(directions.shape[1], (size,), generator=random)
        axes[:, k] = directions[:, chosen] @ torch.randn(size, generator=random)
    return orthogonal(axes)


def orthogonal(axes: Tensor) -> Tensor:
    """Orthonormal axes [D, K] that span the same, the first as it was."""
    basis: Tensor = torch.linalg.qr(axes)[0]
    return basis


def _quantiles(values: Tensor) -> Tensor:
    """[N, K] -> [K, KNOTS]."""
    places = ((torch.arange(KNOTS) + 0.5) / KNOTS * len(values)).long()
    return values.sort(0)[0][places].T.contiguous()
