"""Measures of sets against scikit-learn's kernels and neighbours, on the same features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from latentface.errors import UsageError, WeightsError
from latentface.evaluation.sets import (
    SIDE,
    compare_sets,
    pooled_extractor,
    precision,
    scaled_kernel_distance,
    scripted_extractor,
    set_features,
)
from latentface.metrics import kernel_distance
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet


def features(count: int, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, generator=random) + shift


def test_the_kernel_distance_agrees_with_scikit_learns_kernel() -> None:
    a, b = features(40).double(), features(50, 0.5, 1).double()

    def kernel(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        return polynomial_kernel(x.numpy(), y.numpy(), degree=3, gamma=1 / 6, coef0=1)

    def within(x: torch.Tensor) -> float:
        table = kernel(x, x)
        return float((table.sum() - np.trace(table)) / (len(x) * (len(x) - 1)))

    wanted = within(a) + within(b) - 2 * kernel(a, b).mean()
    assert kernel_distance(a, b) == pytest.approx(wanted, rel=1e-6)


def test_the_scaled_kernel_does_not_depend_on_the_features_size() -> None:
    a, b = features(40), features(50, 0.5, 1)
    assert scaled_kernel_distance(1000 * a, 1000 * b) == pytest.approx(scaled_kernel_distance(a, b), rel=1e-5)


def test_precision_and_recall_agree_with_scikit_learns_neighbours() -> None:
    a, b = features(80, 0.7), features(60, 0.0, 1)

    def share(x: np.ndarray, manifold: np.ndarray) -> float:
        radii = NearestNeighbors(n_neighbors=4).fit(manifold).kneighbors(manifold)[0][:, 3]
        return float((np.linalg.norm(x[:, None] - manifold[None], axis=2) <= radii).any(1).mean())

    found = compare_sets(a, b, ("precision", "recall"))
    assert found["precision"].value == pytest.approx(share(a.numpy(), b.numpy()))
    assert found["recall"].value == pytest.approx(share(b.numpy(), a.numpy()))
    assert 0 < found["precision"].value < 1


def test_a_set_is_as_near_to_itself_as_can_be() -> None:
    a = features(50)
    found = compare_sets(a, a)
    assert found["fid"].value == pytest.approx(0.0, abs=1e-6)
    assert found["precision"].value == found["recall"].value == 1.0
    assert found["kid"].value <= 0
    far = compare_sets(a, features(50, 3.0, 1))
    assert far["fid"].low > found["fid"].high and far["kid"].low > 0
    assert far["precision"].value == 0.0


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 3 pictures a set, got 3"):
        precision(features(9), features(3))
    with pytest.raises(UsageError, match="without pictures"):
        set_features(pooled_extractor(small_network()), iter(()))


def small_network() -> PerceptualNet:
    return PerceptualNet(PerceptualConfig(widths=(4, 8), depths=(1, 1)))


def test_pictures_of_any_size_are_read_in_order_and_as_they_are_needed() -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side + 8, 3), np.uint8) for side in (40, SIDE, 300)] * 7
    extract = pooled_extractor(small_network())
    read = []

    def stream() -> object:
        for picture in pictures:
            read.append(len(read))
            yield picture

    found = set_features(extract, stream())  # type: ignore[arg-type]
    assert found.shape == (21, 8) and read == list(range(21))
    again = set_features(extract, iter(pictures[1:2]))
    torch.testing.assert_close(found[1:2], again, rtol=1e-4, atol=1e-5)
    assert not math.isnan(float(found.sum()))


def test_a_network_that_takes_pictures_as_they_are_sees_each_size_by_itself() -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, 40, 3), np.uint8) for side in (40, 40, 50, 40)]
    seen = []

    def means(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        assert images.dtype == torch.uint8
        return images.float().mean((2, 3), keepdim=True)

    found = set_features(scripted_extractor(means, "means"), pictures)
    assert seen == [(2, 3, 40, 40), (1, 3, 50, 40), (1, 3, 40, 40)]
    np.testing.assert_allclose(found.numpy(), [each.mean((0, 1)) for each in pictures], rtol=1e-5)
    with pytest.raises(WeightsError, match=r"maps gives features \[2, 3, 40, 40\] for 2"):
        set_features(scripted_extractor(lambda images: images.float(), "maps"), pictures)
    with pytest.raises(WeightsError, match="finite"):
        set_features(scripted_extractor(lambda images: means(images) * float("nan"), "maps"), pictures)


def test_tables_are_held_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(41), features(50, 0.5, 1)
    whole = {name: figure.value for name, figure in compare_sets(a, b).items()}
    for module in ("latentface.metrics", "latentface.evaluation.sets"):
        monkeypatch.setattr(f"{module}.table_rows", lambda columns: 7)
    assert {name: figure.value for name, figure in compare_sets(a, b).items()} == pytest.approx(whole, rel=1e-9)


def test_copies_among_the_pictures_are_at_no_distance() -> None:
    a = features(6).repeat(5, 1) * 1000 + 7
    assert precision(a, a) == 1.0  # spheres of no radius hold their own middle
