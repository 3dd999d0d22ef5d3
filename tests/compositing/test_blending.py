"""Blends against their definitions: Burt & Adelson's sums written out, the discrete Laplace equation, scipy-free."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.compositing.blending import (
    BLENDS,
    blend_alpha,
    blend_multiband,
    blend_poisson,
    collapse,
    expand,
    gaussian_pyramid,
    generating_kernel,
    laplacian_pyramid,
    membrane,
    reduce,
    spline,
)

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.uniform(0, 255, shape).astype(np.float32)


def mirrored(index: int, size: int) -> int:
    """An index beyond the border, reflected about the outermost pixel."""
    index = abs(index)
    return 2 * (size - 1) - index if index >= size else index


def disc(height: int, width: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    depth = radius - np.hypot(y - height / 2, x - width / 2)
    return np.clip(depth / 8 + 0.5, 0, 1).astype(np.float32)


def test_kernel_is_normalised_symmetric_and_contributes_equally() -> None:
    """Their constraints: sum 1, symmetry, and a + 2c = 2b (equal contribution of every node to the next level)."""
    c, b, a, b2, c2 = generating_kernel().tolist()
    assert a + 2 * b + 2 * c == pytest.approx(1)
    assert (b, c) == (b2, c2)
    assert a + 2 * c == pytest.approx(2 * b)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (16, 11)])
def test_reduce_is_the_sum_of_the_definition(shape: tuple[int, int]) -> None:
    level, w = noise(*shape), generating_kernel()
    small = reduce(level)
    assert small.shape == (-(-shape[0] // 2), -(-shape[1] // 2))
    for i, j in np.ndindex(small.shape):
        expected = sum(
            w[m + 2] * w[n + 2] * level[mirrored(2 * i + m, shape[0]), mirrored(2 * j + n, shape[1])]
            for m in range(-2, 3) for n in range(-2, 3)
        )  # fmt: skip
        assert small[i, j] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7)])
def test_expand_is_the_sum_of_the_definition(shape: tuple[int, int]) -> None:
    """Only terms with whole (i - m) / 2 count; checked where no index leaves the picture."""
    level, w = noise(-(-shape[0] // 2), -(-shape[1] // 2)), generating_kernel()
    large = expand(level, shape)
    for i in range(2, shape[0] - 2):
        for j in range(2, shape[1] - 2):
            expected = 4 * sum(
                w[m + 2] * w[n + 2] * level[(i - m) // 2, (j - n) // 2]
                for m in range(-2, 3) for n in range(-2, 3)
                if (i - m) % 2 == 0 and (j - n) % 2 == 0
            )  # fmt: skip
            assert large[i, j] == pytest.approx(expected, abs=1e-3)


def test_expand_keeps_flat_areas_up_to_the_border() -> None:
    assert np.allclose(expand(np.full((5, 4), 7, np.float32), (10, 7)), 7)


def test_pyramid_collapses_to_the_picture() -> None:
    picture = noise(37, 52, 3)
    assert np.abs(collapse(laplacian_pyramid(picture, 4)) - picture).max() < 1e-3


def test_spline_is_the_definition_level_by_level() -> None:
    """LS_l = GR_l * LA_l + (1 - GR_l) * LB_l, then the sum of the expanded levels (their section 3.3)."""
    a, b, region = noise(32, 40, 3), noise(32, 40, 3), disc(32, 40, 10)
    mixed = spline(b, a, region, 3)
    levels = []
    for weight, ours, theirs in zip(
        gaussian_pyramid(region, 3), laplacian_pyramid(a, 3), laplacian_pyramid(b, 3), strict=True
    ):
        levels.append(weight[..., None] * ours + (1 - weight[..., None]) * theirs)
    middle = levels[1] + expand(levels[2], levels[1].shape[:2])
    assert np.abs(mixed - (levels[0] + expand(middle, (32, 40)))).max() < 1e-3


def test_spline_of_equal_pictures_is_the_picture() -> None:
    picture = noise(40, 40, 3)
    assert np.abs(spline(picture, picture, disc(40, 40, 12), 3) - picture).max() < 1e-3


def test_multiband_spreads_a_step_over_a_width_that_grows_with_its_scale() -> None:
    """Flat pictures differ in the lowest band alone, so the seam between them is wide; fine texture changes at once."""
    base, patch = np.zeros((96, 96, 3), np.float32), np.full((96, 96, 3), 100, np.float32)
    region = (np.mgrid[:96, :96][1] < 48).astype(np.float32)
    row = spline(base, patch, region, 4)[48, :, 0]
    assert np.all(np.diff(row) < 0.5)
    assert 8 < ((row > 10) & (row < 90)).sum() < 40
    texture = np.where(np.mgrid[:96, :96][1] % 2, 60, -60).astype(np.float32)[..., None].repeat(3, -1)
    fine = np.abs(
        spline(texture, -texture, region, 4)[48, :, 0] - np.where(region[48], -texture[48, :, 0], texture[48, :, 0])
    )
    assert (fine > 30).sum() <= 4


@pytest.mark.parametrize("name", sorted(BLENDS))
def test_the_base_is_untouched_to_the_bit_outside_the_mask(name: str) -> None:
    base, patch, mask = noise(90, 70, 3), noise(90, 70, 3), disc(90, 70, 20)
    blended = BLENDS[name](base, patch, mask)
    assert blended.dtype == np.float32
    assert np.array_equal(blended[mask == 0], base[mask == 0])
    assert not np.allclose(blended[mask == 1], base[mask == 1], atol=5)


@pytest.mark.parametrize("name", sorted(BLENDS))
def test_an_empty_mask_changes_nothing(name: str) -> None:
    base = noise(40, 40, 3)
    assert np.array_equal(BLENDS[name](base, noise(40, 40, 3), np.zeros((40, 40), np.float32)), base)


def test_alpha_is_the_weighted_mean() -> None:
    base, patch, mask = noise(9, 9, 3), noise(9, 9, 3), noise(9, 9) / 255
    expected = mask[..., None] * patch + (1 - mask[..., None]) * base
    assert np.abs(blend_alpha(base, patch, mask) - expected).max() < 1e-3


def test_multiband_shows_the_patch_inside() -> None:
    base, patch, mask = noise(128, 128, 3), noise(128, 128, 3), disc(128, 128, 50)
    inside = disc(128, 128, 30) == 1
    fine = blend_multiband(base, patch, mask) - patch
    assert np.abs(fine[inside].mean(0)).max() < 12  # the lowest band comes partly from the base
    assert np.abs(fine[inside] - fine[inside].mean(0)).mean() < 6


@pytest.mark.parametrize(("size", "radius"), [(40, 12), (220, 80)])
def test_membrane_solves_laplace_with_the_values_around(size: int, radius: float) -> None:
    """The small one is solved directly, the large one by the cascade; both must satisfy the five-point equation."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    values = np.stack([2 * x - y, 0.01 * (x * x - y * y), x * y * 0.02], axis=-1)  # harmonic: known inside too
    inside = np.hypot(y - size / 2, x - size / 2) < radius
    hidden = np.where(inside[..., None], RNG.uniform(-500, 500, values.shape), values).astype(np.float32)
    found = membrane(hidden, inside)
    assert np.array_equal(found[~inside], values[~inside])
    assert np.abs(found - values).max() < 0.01 * np.abs(values).max()


def test_poisson_keeps_gradients_and_takes_colours_from_the_border() -> None:
    """A patch that is the base plus a constant vanishes into it; one with its own texture keeps the texture."""
    base, mask = noise(80, 80, 3), disc(80, 80, 25)
    assert np.abs(blend_poisson(base, base + 60, mask) - base).max() < 0.5
    flat = np.full_like(base, 100)
    texture = 20 * np.sin(np.mgrid[:80, :80][1] / 2.0)[..., None].astype(np.float32)
    result = blend_poisson(flat, 180 + texture.repeat(3, -1), mask)
    inside = disc(80, 80, 15) == 1
    assert abs(result[inside].mean() - 100) < 8
    assert np.corrcoef(result[inside][:, 0], texture[..., 0][inside])[0, 1] > 0.98


def test_poisson_region_that_touches_the_frame() -> None:
    base, mask = noise(30, 30, 3), np.ones((30, 30), np.float32)
    result = blend_poisson(base, base + 40, mask)
    assert np.abs(result[1:-1, 1:-1] - base[1:-1, 1:-1]).max() < 0.5
