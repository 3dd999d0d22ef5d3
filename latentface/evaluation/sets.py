"""Measures of two sets of pictures by features of a network: Frechet and kernel distance, precision and recall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.arrays import Pixels
from latentface.errors import UsageError
from latentface.evaluation.figures import Figure, set_figure
from latentface.io.images import to_tensor
from latentface.metrics import frechet_distance, kernel_distance, pooled_features
from latentface.networks.perceptual import FeatureDistance

SIDE = 256  # pixels: pictures are brought to this before a network looks at them
BATCH = 16
NEIGHBOURS = 3  # of precision and recall
SET_MEASURES: Final = ("fid", "kid", "precision", "recall")
_BLOCK = 2048  # rows of a table of distances that are held together


def set_features(network: FeatureDistance, pictures: Iterable[Pixels]) -> Tensor:
    """Features [N, D] of pictures uint8 [H, W, 3] of any sizes, which are read as they are needed."""
    found, batch = [], []
    for picture in pictures:
        batch.append(_resized(picture))
        if len(batch) == BATCH:
            found.append(_features(network, batch))
            batch = []
    if batch:
        found.append(_features(network, batch))
    if not found:
        raise UsageError("a set without pictures cannot be measured")
    return torch.cat(found)


def _resized(picture: Pixels) -> Tensor:
    image = to_tensor(picture)
    return F.interpolate(image, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


@torch.no_grad()
def _features(network: FeatureDistance, batch: list[Tensor]) -> Tensor:
    return pooled_features(network, torch.cat(batch)).float().cpu()


def compare_sets(a: Tensor, b: Tensor, measures: Iterable[str] = SET_MEASURES, seed: int = 0) -> dict[str, Figure]:
    """Measures of made pictures against real ones.

    Args:
        a: features of what was made, [n, D].
        b: features of real pictures, [m, D].
        measures: names out of `SET_MEASURES`.
        seed: of the intervals.

    Raises:
        UsageError: fewer than two pictures, or for precision and recall no more than `NEIGHBOURS`.
    """
    statistics: Mapping[str, Callable[[Tensor, Tensor], float]] = {
        "fid": frechet_distance,
        "kid": scaled_kernel_distance,
        "precision": precision,
        "recall": lambda made, real: precision(real, made),
    }
    return {name: set_figure(statistics[name], a, b, seed) for name in measures}


def scaled_kernel_distance(a: Tensor, b: Tensor) -> float:
    """`kernel_distance` with a kernel that does not depend on the features' size: (x . y / mean |b|^2 + 1)^3."""
    return kernel_distance(a, b, float(1 / b.double().square().sum(1).mean()))


def precision(a: Tensor, b: Tensor, neighbours: int = NEIGHBOURS) -> float:
    """The share of features a [n, D] that lie within the manifold of b [m, D] (Kynkaanniemi et al. 2019, eq. 1).

    The manifold is the union of spheres about b's features, each as wide as its distance to the third nearest of the
    others. Recall is the same with a and b exchanged.

    Raises:
        UsageError: b has no more features than `neighbours`.
    """
    if len(b) <= neighbours:
        raise UsageError(f"precision and recall need more than {neighbours} pictures a set, got {len(b)}")
    radii = torch.cat([rows.kthvalue(neighbours + 1, dim=1).values for rows in _distances(b, b)])
    inside = [(rows <= radii).any(dim=1) for rows in _distances(a, b)]
    return float(torch.cat(inside).double().mean())


def _distances(a: Tensor, b: Tensor) -> Iterable[Tensor]:
    """Distances of a's features to all of b's, some rows at a time."""
    wide = b.double()
    for block in torch.split(a, _BLOCK):
        # not by the product of the features: a distance to itself must be zero
        yield torch.cdist(block.double(), wide, compute_mode="donot_use_mm_for_euclid_dist")
