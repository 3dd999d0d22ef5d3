"""Fields and moved pictures: native and numpy agree to the bit, fields solve their equation, what is still stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from latentface.ops import native
from latentface.ops.raster import sample
from latentface.ops.warp import Pull, block_sums, enlarge, keep_background, keep_inside, mirrored, move, read, relax

SIZE = (53, 47)


def both(function: Callable[..., Any], *arguments: Any) -> list[np.ndarray]:
    made = []
    for choice in ("native", "reference"):
        with native.chosen(choice):
            made.append(function(*arguments))
    return made


@pytest.fixture
def mesh() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    values = random.normal(0, 5, (*SIZE, 3)).astype(np.float32)
    values[..., 2] = random.uniform(0, 1, SIZE)
    return values, random.integers(-1, 2, SIZE).astype(np.int8)


@pytest.mark.parametrize("step", [2, 7, 60])
def test_block_sums_are_the_same_to_the_bit(mesh: tuple[np.ndarray, np.ndarray], step: int) -> None:
    values, layer = mesh
    native_made, reference = both(block_sums, values, layer, step)
    assert np.array_equal(native_made, reference)
    trust = np.where(layer == 0, values[..., 2].astype(float), 0)
    assert np.allclose(reference.sum(axis=(0, 1))[[0, 2]], [(values[..., 0] * trust).sum(), trust.sum()])


def test_relaxation_is_the_same_to_the_bit_and_solves_the_equation() -> None:
    random = np.random.default_rng(2)
    diagonal = np.where(random.uniform(size=(19, 24)) < 0.1, 20.0, 0.004)
    right = random.normal(0, 3, (19, 24, 2)) * (diagonal > 1)[..., None]
    found, reference = both(relax, diagonal, right, np.zeros_like(right), 1.85, 1e-9, 2000)
    assert np.array_equal(found, reference)
    padded = np.pad(found, ((1, 1), (1, 1), (0, 0)), mode="edge")
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    assert np.abs((4 + diagonal[..., None]) * found - neighbours - right).max() < 1e-6
    short = both(relax, diagonal, right, np.zeros_like(right), 1.85, 1e-9, 3)
    assert np.array_equal(*short) and np.abs(short[0] - found).max() > 1e-3


@pytest.mark.parametrize("step", [2, 6, 60])
def test_enlarging_is_the_same_to_the_bit_and_mixes_what_is_known(
    mesh: tuple[np.ndarray, np.ndarray], step: int
) -> None:
    values, layer = mesh
    values[:8, :, 2] = 1
    layer[:8], layer[8:16] = 0, -1
    shape = (-(-SIZE[0] // step), -(-SIZE[1] // step), 2)
    made, reference = both(enlarge, np.full(shape, 2.5, np.float32), step, values, layer)
    assert np.array_equal(made, reference)
    assert np.allclose(made[:8], values[:8, :, :2], atol=1e-5) and np.allclose(made[8:16], 2.5, atol=1e-5)
    ramp = np.add.outer(np.arange(shape[0]), np.zeros(shape[1]))[..., None].repeat(2, axis=2).astype(np.float32)
    made, reference = both(enlarge, ramp, step, values, np.full(SIZE, 1, np.int8))
    assert np.array_equal(made, reference)
    middle = slice(2 * step, SIZE[0] - 3 * step)
    assert np.allclose(np.diff(made[middle, 3, 0]), 1 / step, atol=1e-4)


@pytest.mark.parametrize("step", [1, 3])
def test_moving_is_the_same_to_the_bit_as_sampling(step: int) -> None:
    random = np.random.default_rng(3)
    picture = random.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    shift = random.normal(0, 12, (40, 30, 2)).astype(np.float32)  # many beyond the edges
    shift[:5] = 0.001
    gain = random.uniform(0.7, 1.3, (-(-40 // step), -(-30 // step), 3)).astype(np.float32)
    made, reference = both(move, picture, 11, 9, shift, 0.002, gain, step)
    assert np.array_equal(made, reference)
    assert np.array_equal(made[:5], picture[9:14, 11:41])
    plain = both(move, picture, 11, 9, shift, 0.002, np.ones((1, 1, 3), np.float32), 1)[0]
    y, x = np.mgrid[9:49, 11:41]
    places = mirrored(np.stack([x, y], axis=2).astype(np.float32) + shift, (60, 50))
    assert (places >= -1e-3).all() and (places <= [49.001, 59.001]).all()
    assert np.array_equal(plain[5:], sample(picture, places)[5:])


@pytest.mark.parametrize("step", [1, 4])
def test_keeping_the_background_still_is_the_same_to_the_bit(step: int) -> None:
    random = np.random.default_rng(5)
    background = random.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    share = random.uniform(0, 1, (60, 50)).astype(np.float32)
    share[:, :20], share[30:] = 1, 0
    seen = np.dstack([np.rint(share[..., None] * background), np.rint(255 * share)]).astype(np.uint8)
    shift = random.normal(0, 6, (50, 40, 2)).astype(np.float32)
    shift[:5] = 0.001
    gain = random.uniform(0.7, 1.3, (-(-50 // step), -(-40 // step), 3)).astype(np.float32)
    moved = random.uniform(0, 255, (50, 40, 3)).astype(np.float32)
    parts = []

    def keep() -> np.ndarray:
        parts.append(moved.copy())
        return keep_background(parts[-1], 6, 7, shift, 0.002, gain, step, background, seen)

    behind, reference = both(keep)
    assert np.array_equal(behind, reference) and np.array_equal(*parts)
    here = seen[7:57, 6:46, 3] / np.float32(255)
    assert (behind <= here).all() and (behind[(here == 1)] > 0).any()
    assert np.array_equal(parts[0][:5], moved[:5]), "what does not move stays"
    clear = (behind == 1) & (np.abs(shift) > 0.002).any(axis=2)
    assert clear.any() and np.array_equal(parts[0][clear], background[7:57, 6:46][clear])
    with pytest.raises(ValueError, match="contiguous"):
        keep_background(moved[:, ::-1], 6, 7, shift, 0.002, gain, step, background, seen)
    with pytest.raises(ValueError, match="seen"):
        keep_background(moved, 6, 7, shift, 0.002, gain, step, background, seen[:9])


@pytest.mark.parametrize("step", [1, 3])
def test_a_background_that_is_stretched_is_the_same_to_the_bit(step: int) -> None:
    random = np.random.default_rng(8)
    background = random.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    share = random.uniform(0, 1, (60, 50)).astype(np.float32)
    share[:, :20] = 1
    seen = np.dstack([np.rint(share[..., None] * background), np.rint(255 * share)]).astype(np.uint8)
    shift = random.normal(0, 6, (50, 40, 2)).astype(np.float32)
    shift[:30] = 0
    values = random.normal(0, 5, (-(-30 // step), -(-45 // step), 2)).astype(np.float32)
    values[:3] = 0
    pull = Pull(values, 2, 5, step)
    moved = random.uniform(0, 255, (50, 40, 3)).astype(np.float32)
    parts = []

    def keep() -> np.ndarray:
        parts.append(moved.copy())
        return keep_background(parts[-1], 6, 7, shift, 0.002, gain, 1, background, seen, pull)

    gain = np.ones((50, 40, 3), np.float32)
    behind, reference = both(keep)
    assert np.array_equal(behind, reference) and np.array_equal(*parts)
    assert np.array_equal(parts[0][0], moved[0]), "what neither moves nor is pulled stays"


def test_a_background_is_taken_from_where_it_is_pulled() -> None:
    background = np.dstack([np.indices((40, 50))[1] * 4] * 3).astype(np.uint8)
    seen = np.dstack([background, np.full((40, 50), 255, np.uint8)])
    shift, gain = np.zeros((40, 50, 2), np.float32), np.ones((40, 50, 3), np.float32)
    pull = Pull(np.full((4, 5, 2), (3.5, 0), np.float32), 0, 0, 10)
    moved = background.astype(np.float32)
    keep_background(moved, 0, 0, shift, 0.002, gain, 1, background, seen, pull)
    assert np.allclose(moved[:, 2:40], background[:, 2:40] + 14.0, atol=1e-3)


@pytest.mark.parametrize("by", [0.25, 0.5, 3.7])
def test_an_edge_of_the_share_does_not_show(by: float) -> None:
    background = np.full((40, 40, 3), 170, np.uint8)
    share = np.ones((40, 40), np.float32)
    share[20:] = 0
    seen = np.dstack([np.rint(share[..., None] * background), 255 * share]).astype(np.uint8)
    shift, gain = np.full((40, 40, 2), (0, -by), np.float32), np.ones((40, 40, 3), np.float32)
    moved = np.full((40, 40, 3), 170, np.float32)  # the same colour: a person who cannot be told from the background
    keep_background(moved, 0, 0, shift, 0.002, gain, 1, background, seen)
    assert np.abs(moved - 170).max() < 1


def test_bending_displacements_inside_is_the_same_to_the_bit() -> None:
    random = np.random.default_rng(6)
    shift = random.normal(0, 20, (30, 40, 2)).astype(np.float32)
    shift[:2] = 0
    made, reference = both(keep_inside, shift, 5, 8, (38, 50), 0.6)
    assert np.array_equal(made, reference) and np.array_equal(made[:2], shift[:2])


def test_shapes_that_do_not_belong_together_are_refused(mesh: tuple[np.ndarray, np.ndarray]) -> None:
    values, layer = mesh
    picture, shift = np.zeros((20, 20, 3), np.uint8), np.zeros((5, 5, 2), np.float32)
    with pytest.raises(ValueError, match="float32"):
        block_sums(values[..., :2], layer, 4)
    with pytest.raises(ValueError, match="expected a block"):
        enlarge(np.zeros((2, 2, 2), np.float32), 4, values, layer)
    with pytest.raises(ValueError, match="outside"):
        move(picture, 16, 0, shift, 0.0, np.ones((1, 1, 3), np.float32), 1)
    with pytest.raises(ValueError, match="uint8"):
        move(picture[..., :1], 0, 0, shift, 0.0, np.ones((1, 1, 3), np.float32), 1)
    with pytest.raises(ValueError, match="shapes"):
        relax(np.ones((3, 3)), np.ones((3, 3)), np.ones((3, 3)), 1.5, 1e-3, 10)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3), (1, 1, 2)])
def test_reading_between_values_is_the_same_to_the_bit(shape: tuple[int, ...], bounded: bool) -> None:
    random = np.random.default_rng(4)
    values = random.normal(0, 5, shape).astype(np.float32)
    places = random.uniform(-4, 17, (60, 5, 2)).astype(np.float32)
    places[0, 0], places[0, 1] = (0, 0), (shape[1] - 1, shape[0] - 1)
    made, reference = both(read, values, places, bounded)
    assert np.array_equal(made, reference) and made.shape == (60, 5, *shape[2:])
    assert np.array_equal(made[0, 0], values[0, 0]) and np.array_equal(made[0, 1], values[-1, -1])
    beyond = ((places < 0) | (places > [shape[1] - 1, shape[0] - 1])).any(axis=2)
    assert beyond.any() and (made[beyond] == 0).all() == bounded
    with pytest.raises(ValueError, match="expected"):
        read(values, places[..., :1])
