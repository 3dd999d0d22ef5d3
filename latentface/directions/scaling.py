"""Moving latents along directions: the unit of strength, orthogonality, and the distance from the network's range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from latentface.errors import UsageError
from latentface.inversion.search import W_SAMPLES, W_SEED
from latentface.latents.latent import Direction, Latent, check_same_generator
from latentface.networks.generator import Generator

#: Deviations from the mean w (see `excess`) beyond which faces break up.
FAR = 5.0


def without(direction: Direction, others: Sequence[Direction]) -> Direction:
    """The direction without its components along others: orthogonal to each (Shen et al. 2020, eq. 7).

    Raises:
        LatentMismatch: a direction belongs to another generator. UsageError: nothing remains.
    """
    if not others:
        return direction
    for other in others:
        check_same_generator(direction, other)
    basis = torch.stack([other.values.flatten() for other in others]).double()
    flat = direction.values.flatten().double()
    rest = flat - basis.T @ torch.linalg.lstsq(basis.T, flat[:, None]).solution[:, 0]
    if rest.norm() < 1e-4 * flat.norm():
        names = ", ".join(other.name for other in others)
        raise UsageError(
            f"{direction.name or 'the direction'} lies within {names}: nothing of it is orthogonal to them"
        )
    return Direction(rest.reshape(direction.values.shape), direction.fingerprint, direction.name, direction.metadata)


def w_samples(generator: Generator) -> torch.Tensor:
    """10,000 w [n, w_dim] of the mapping network from a fixed seed; UsageError for a network with labels."""
    if generator.config.c_dim:
        raise UsageError("this network needs labels; directions can only be scaled for a network without")
    z = torch.randn(W_SAMPLES, generator.config.z_dim, generator=torch.Generator().manual_seed(W_SEED))
    with torch.no_grad():
        return generator.mapping(z.to(generator.w_avg.device))[:, 0].cpu()


def scaled(direction: Direction, w: torch.Tensor) -> Direction:
    """The direction at strength 1: one standard deviation of w [n, w_dim] along it.

    With u the direction at unit length in W+, that is u times the deviation of <ws, u> over ws with one w in all rows.
    Raises UsageError if the direction is zero or its rows cancel.
    """
    unit = direction.values / direction.values.norm().clamp(min=1e-12)
    deviation = (w @ unit.sum(0)).std()
    if not deviation > 1e-6:
        raise UsageError(f"{direction.name or 'the direction'} is zero, or its rows cancel: expected one that moves w")
    return Direction(unit * deviation, direction.fingerprint, direction.name, direction.metadata)


def from_array(values: NDArray[np.floating], generator: Generator, name: str) -> Direction:
    """A direction from another tool, [w_dim] or [num_ws, w_dim] with any leading axes of 1, scaled by `scaled`.

    Raises UsageError for a wrong shape, NaN, or zero.
    """
    config = generator.config
    array = np.asarray(values)
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    if array.shape not in ((config.w_dim,), (config.num_ws, config.w_dim)) or array.dtype.kind != "f":
        raise UsageError(
            f"{name}: {array.dtype} {list(np.shape(values))}; this network's directions are floats [{config.w_dim}] or "
            f"[{config.num_ws}, {config.w_dim}]"
        )
    rows = torch.from_numpy(np.array(np.broadcast_to(array, (config.num_ws, config.w_dim)), np.float32))
    return scaled(Direction(rows, generator.fingerprint, name), w_samples(generator))


def edited(latent: Latent, steps: Sequence[tuple[Direction, float]], rows: Sequence[int] | None = None) -> Latent:
    """The latent moved along each direction by its strength, on the rows given (all by default).

    Steps are summed before they are added, so opposite steps cancel up to rounding. Raises LatentMismatch for a
    direction of another generator.
    """
    total = Direction(torch.zeros_like(latent.ws), latent.fingerprint)
    for direction, strength in steps:
        total = total + strength * direction
    if rows is not None:
        kept = torch.zeros(len(latent.ws), 1)
        kept[list(rows)] = 1
        total = Direction(total.values * kept, latent.fingerprint)
    return latent + total


def excess(before: Latent, after: Latent, w: torch.Tensor) -> float:
    """How far an edit leaves the network's range: a Mahalanobis distance along the edit.

    Standard deviations of w [n, w_dim], taken along the difference of the two latents, by which the second lies beyond
    the mean of w; 0 for no difference or a step towards the mean.
    """
    step = (after - before).values
    length = step.norm()
    if not length > 0:
        return 0.0
    unit = step / length
    along = w @ unit.sum(0)
    place = (after.ws * unit).sum()
    return max(0.0, float((place - along.mean()) / along.std().clamp(min=1e-12)))
