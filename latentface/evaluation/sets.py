"""Measures of two sets of pictures by features of a network: Frechet and kernel distance, precision and recall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, islice
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.arrays import Pixels
from latentface.errors import UsageError, WeightsError
from latentface.evaluation.figures import Figure, set_figure
from latentface.io.images import to_tensor
from latentface.metrics import frechet_distance, kernel_distance, pooled_features, table_rows
from latentface.networks.perceptual import FeatureDistance

SIDE = 256  # pixels: pictures are brought to this before a network looks at them
BATCH = 16
NEIGHBOURS = 3  # of precision and recall
SET_MEASURES: Final = ("fid", "kid", "precision", "recall")
_EQUAL = 1e-12  # of the squares of two features: a squared distance below is rounding

#: Features [N, D] of N pictures uint8 [H, W, 3].
Extractor = Callable[[Sequence[Pixels]], Tensor]


def set_features(extract: Extractor, pictures: Iterable[Pixels]) -> Tensor:
    """Features [N, D] of pictures uint8 [H, W, 3] of any sizes, which are read as they are needed.

    Raises:
        UsageError: there are no pictures.
    """
    stream = iter(pictures)
    found = []
    while batch := list(islice(stream, BATCH)):
        found.append(extract(batch))
    if not found:
        raise UsageError("a set without pictures cannot be measured")
    return torch.cat(found)


def pooled_extractor(network: FeatureDistance) -> Extractor:
    """The last features of a perceptual network, averaged over pictures that are brought to `SIDE` pixels."""

    @torch.no_grad()
    def extract(batch: Sequence[Pixels]) -> Tensor:
        size = (SIDE, SIDE)
        images = [F.interpolate(to_tensor(each), size, mode="bilinear", antialias=True) for each in batch]
        return pooled_features(network, torch.cat(images)).float().cpu()

    return extract


def scripted_extractor(network: Callable[[Tensor], Tensor], name: str) -> Extractor:
    """The features of a network that takes pictures uint8 [N, 3, H, W] as they are, such as Inception.

    Args:
        network: its features are [N, D], or [N, D, 1, 1].
        name: of the network, for messages.

    Raises:
        WeightsError: features of another shape, or not finite.
    """

    @torch.no_grad()
    def extract(batch: Sequence[Pixels]) -> Tensor:
        found = []
        for _, group in groupby(batch, lambda each: each.shape):
            images = torch.from_numpy(np.stack(list(group))).permute(0, 3, 1, 2)
            features = network(images).float().cpu()
            features = features.flatten(1) if features.ndim == 4 and features.shape[2:] == (1, 1) else features
            if features.ndim != 2 or len(features) != len(images) or not torch.isfinite(features).all():
                raise WeightsError(
                    f"{name} gives features {list(features.shape)} for {len(images)} pictures: expected finite numbers "
                    f"[{len(images)}, D]; give a network of features, such as Inception without its last layer"
                )
            found.append(features)
        return torch.cat(found)

    return extract


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
    """Distances of a's features to all of b's, some rows at a time; those of equal features are exactly zero."""
    wide = b.double()
    own = wide.square().sum(1)
    for block in torch.split(a.double(), table_rows(len(b))):
        together = block.square().sum(1)[:, None] + own
        square = together - 2 * block @ wide.T
        yield torch.where(square > _EQUAL * together, square, 0).clamp(min=0).sqrt()
