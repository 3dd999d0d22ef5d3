"""Checksums of tensors' content: the same for the same numbers, another after any change, however it was made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from latentface.ops import checksums, native

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
SIZES = [0, 1, 3, 127, 4096, 70_001]


@pytest.fixture(params=["native", "reference"], autouse=True)
def choice(request: pytest.FixtureRequest) -> Iterator[str]:
    with native.chosen(request.param):
        yield request.param


def draw(count: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def one(values: Tensor) -> int:
    (found,) = checksums([values])
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", SIZES)
def test_equal_content_agrees(count: int, dtype: torch.dtype) -> None:
    values = draw(count, dtype)
    assert one(values) == one(values.clone()) == one(values.clone().requires_grad_())
    spread = torch.stack([values, values], dim=1)[:, 0]
    assert one(spread) == one(values), "how it lies in memory does not count"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", SIZES[1:])
def test_one_changed_number_shows(count: int, dtype: torch.dtype) -> None:
    values = draw(count, dtype)
    found = {one(values)}
    places = sorted({0, count // 2, count - 1})
    for place in places:
        changed = values.clone()
        changed[place] = -changed[place]
        found.add(one(changed))
    assert len(found) == 1 + len(places)


def test_changes_that_would_cancel_in_a_sum_show() -> None:
    values = draw(5000)
    swapped, flipped, doubled = values.clone(), -values, values * 2
    swapped[[10, 20]] = values[[20, 10]]
    pair = values.clone()
    pair[[1, 3]] *= -1  # the upper halves of two words: their signs alone change
    turned = values.view(50, 100).t().contiguous()
    found = checksums([values, swapped, flipped, doubled, pair, turned, values.roll(1), values.roll(1024)])
    assert len(set(found)) == 8


def test_length_counts() -> None:
    found = checksums([torch.zeros(count) for count in (0, 1, 2, 32, 1024, 2048)])
    assert len(set(found)) == (6 if native.serves(torch.zeros(1)) else 1)


def test_threads_change_nothing() -> None:
    before, values = torch.get_num_threads(), draw(300_001)
    found = set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.add(one(values))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


def test_tensors_of_inference_mode_have_one() -> None:
    with torch.inference_mode():
        values = draw(100)
        inside = one(values)
    assert one(values) == inside == one(draw(100))


def test_many_at_once_are_in_order() -> None:
    parts = [draw(10, seed=seed) for seed in range(3)] + [torch.arange(7), torch.tensor(3.0)]
    assert checksums(parts) == tuple(one(part) for part in parts)
    assert checksums([]) == ()
