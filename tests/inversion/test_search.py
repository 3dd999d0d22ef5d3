"""What the projector optimises: statistics of w, the noise penalty, the comparison, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentface.errors import LatentfaceError, UsageError
from latentface.inversion import search
from latentface.inversion.projector import project
from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualNet
from latentface.options.projection import ProjectOptions
from tests.helpers.tiny_projection import CONFIG, QUICK


def direct_noise_penalty(maps: list[np.ndarray]) -> float:
    """The penalty written out pixel by pixel, for one crop."""
    total = 0.0
    for each in maps:
        while True:
            side = each.shape[0]
            across = sum(each[y, x] * each[y, (x - 1) % side] for y in range(side) for x in range(side))
            down = sum(each[y, x] * each[(y - 1) % side, x] for y in range(side) for x in range(side))
            total += (across / side**2) ** 2 + (down / side**2) ** 2
            if side <= 8:
                break
            each = np.array(
                [
                    [each[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(side // 2)]
                    for y in range(side // 2)
                ]
            )
    return total


def test_noise_penalty_against_a_direct_loop() -> None:
    source = torch.Generator().manual_seed(2)
    maps = [torch.randn(2, 1, side, side, generator=source, dtype=torch.float64) for side in (4, 8, 16, 32)]
    found = search.noise_penalty(maps)
    for k in range(2):
        assert found[k].item() == pytest.approx(direct_noise_penalty([each[k, 0].numpy() for each in maps]))


def test_noise_penalty_keeps_noise_noise(generator: Generator, distance: PerceptualNet) -> None:
    # a picture of stripes tempts the maps to draw it
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 16:] = 255
    free, kept = (
        project(picture, generator, replace(QUICK, steps=60, noise_regularise=weight), distance=distance).latent.noise
        for weight in (0.0, 1e5)
    )
    penalties = [search.noise_penalty([each[None, None] for each in maps]).item() for maps in (free, kept)]
    assert penalties[1] < 0.1 * penalties[0]


def test_statistics_of_w_against_numpy(generator: Generator) -> None:
    statistics = search.measure_w(generator)
    z = torch.randn(10_000, 8, generator=torch.Generator().manual_seed(123))
    with torch.no_grad():
        w = generator.mapping(z)[:, 0].double().numpy()
    assert statistics.mean.numpy() == pytest.approx(w.mean(axis=0), abs=1e-5)
    assert statistics.std == pytest.approx(math.sqrt(((w - w.mean(axis=0)) ** 2).sum() / 10_000), rel=1e-5)
    penalty = statistics.penalty(torch.tensor(w[:2000, None], dtype=torch.float32))
    assert penalty.mean().item() == pytest.approx(1.0, abs=0.1)
    assert torch.equal(search.measure_w(generator).mean, statistics.mean)


def test_larger_pictures_are_compared_at_256_pixels() -> None:
    x = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(search.shrink(x), x.view(1, 3, 256, 2, 256, 2).mean(dim=(3, 5)))
    assert search.shrink(x[..., :256, :256]).shape == (1, 3, 256, 256)


def test_low_resolutions_are_compared_with_the_picture_averaged_down(distance: PerceptualNet) -> None:
    target = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(3)) * 2 - 1
    small = torch.nn.functional.avg_pool2d(target, 2)
    comparison = search.Comparison(target, distance, ProjectOptions())
    assert comparison.loss(small).abs().max() < 1e-6 and comparison.perceptual(small).abs().max() < 1e-6
    off = small.roll(3, dims=3)
    alone = search.Comparison(small, distance, ProjectOptions())
    assert torch.allclose(comparison.loss(off), alone.loss(off)) and (comparison.loss(off) > 0.01).all()


def test_noise_maps_come_to_mean_zero_and_root_mean_square_one() -> None:
    source = torch.Generator().manual_seed(0)
    maps = [3 * torch.randn(2, 1, side, side, generator=source) + 1 for side in (4, 16)]
    maps.append(torch.full((2, 1, 8, 8), 5.0))
    search.normalise_noise(maps)
    for each in maps[:2]:
        assert torch.allclose(each.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-6)
        assert torch.allclose(each.square().mean(dim=(1, 2, 3)), torch.ones(2), atol=1e-5)
    assert torch.equal(maps[2], torch.zeros(2, 1, 8, 8)), "a constant map is no division by zero"


def test_a_pyramid_halves_by_averaging() -> None:
    picture = torch.arange(64.0).view(1, 1, 8, 8)
    levels = search.pyramid(picture)
    assert [each.shape[-1] for each in levels] == [8, 4, 2]
    assert levels[0] is picture
    assert float(levels[1][0, 0, 0, 0]) == (0 + 1 + 8 + 9) / 4
    assert torch.allclose(levels[2], F.avg_pool2d(picture, 4))


def test_part_of_a_comparison_is_the_comparison_of_those_targets(distance: PerceptualNet) -> None:
    source = torch.Generator().manual_seed(1)
    targets, images = torch.rand(2, 3, 3, 32, 32, generator=source) * 2 - 1
    attention = 1 + 0.5 * torch.rand(3, 1, 32, 32, generator=source)
    comparison = search.Comparison(targets, distance, ProjectOptions(), attention)
    with torch.no_grad():
        whole = comparison.loss(images)  # computes features, which the part takes over
        part = comparison.of([2, 0])
        assert torch.allclose(part.loss(images[[2, 0]]), whole[[2, 0]], rtol=1e-5)
        fresh = search.Comparison(targets, distance, ProjectOptions(), attention).of([2, 0])
        assert torch.allclose(fresh.loss(images[[2, 0]]), whole[[2, 0]], rtol=1e-5)


def test_the_loss_weighs_the_distance_against_the_pixels(distance: PerceptualNet) -> None:
    targets, images = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    alone = [
        search.Comparison(targets, distance, ProjectOptions(perceptual_weight=a, pixel_weight=b))
        for a, b in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0))
    ]
    with torch.no_grad():
        perceptual, pixel, both = (comparison.loss(images) for comparison in alone)
        pairs = zip(search.pyramid(images), search.pyramid(targets), strict=True)
        expected = torch.stack([F.mse_loss(a, b) for a, b in pairs]).mean()
        assert torch.allclose(pixel, expected)
        assert torch.allclose(perceptual, alone[0].perceptual(images))
        assert torch.allclose(both, 2 * perceptual + 3 * pixel)


def test_tensors_of_crops_are_joined_in_order() -> None:
    parts = [[torch.full((1, 2), k), torch.full((1, 3), 10 + k)] for k in range(3)]
    first, second = search.join(parts)
    assert first[:, 0].tolist() == [0, 1, 2] and second[:, 0].tolist() == [10, 11, 12]
    assert search.join([[], []]) == []


def test_a_loss_that_is_not_finite_is_told_with_the_learning_rate() -> None:
    search.check_finite(torch.tensor([1.0, 2.0]), "projection", 0.1)
    with pytest.raises(LatentfaceError, match=r"the loss is \[1\.0, nan\].*learning rate \(now 0\.25\)"):
        search.check_finite(torch.tensor([1.0, math.nan]), "projection", 0.25)


@pytest.mark.parametrize(
    ("shape", "options", "rows"),
    [((1, 8, 8), {"space": "w+"}, 8), ((1, 8), {"space": "w+"}, 8), ((1, 8, 8), {"space": "w"}, 1)],
)
def test_a_search_begins_where_it_is_told(
    generator: Generator, distance: PerceptualNet, shape: tuple[int, ...], options: dict[str, str], rows: int
) -> None:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    picture = torch.zeros(1, 3, 32, 32)
    chosen = replace(QUICK, **options)
    running = search.Search(
        generator, search.Comparison(picture, distance, chosen), search.measure_w(generator), chosen, start, 1
    )
    ws = running.crops[0].ws
    assert ws.shape == (1, rows, 8)
    given = start if start.ndim == 3 else start[:, None]
    assert torch.allclose(ws, given.mean(1, keepdim=True) if rows == 1 else given.expand(1, 8, 8))
    assert running.exploration == 0


def test_a_start_of_another_shape_is_refused(generator: Generator, distance: PerceptualNet) -> None:
    comparison = search.Comparison(torch.zeros(1, 3, 32, 32), distance, QUICK)
    with pytest.raises(UsageError, match=r"start has shape \[2, 8\].*expect \[1, 8, 8\] or \[1, 8\]"):
        search.Search(generator, comparison, search.measure_w(generator), QUICK, torch.zeros(2, 8), 1)


def test_a_conditional_network_needs_a_label() -> None:
    labelled = Generator(replace(CONFIG, c_dim=3), seed=0)
    with pytest.raises(UsageError, match="labels of 3 numbers"):
        search.measure_w(labelled)
    one, other = (search.measure_w(labelled, label[None]) for label in torch.eye(3)[:2])
    assert not torch.allclose(one.mean, other.mean, atol=1e-4)
