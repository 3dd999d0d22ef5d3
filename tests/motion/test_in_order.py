"""Work on frames side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from latentface.motion.in_order import free_cores, in_order


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers: int) -> None:
    assert list(in_order(iter(range(20)), lambda k: k * k, workers)) == [k * k for k in range(20)]


def test_two_are_made_at_once() -> None:
    both = threading.Barrier(2, timeout=10)  # breaks unless two wait at it

    def make(k: int) -> int:
        both.wait()
        return k

    assert list(in_order(iter(range(4)), make, 2)) == [0, 1, 2, 3]


def test_in_live_use_only_the_next_step_is_prepared_meanwhile() -> None:
    taken: list[int] = []
    second = threading.Event()

    def steps() -> Iterator[int]:
        for k in range(9):
            taken.append(k)
            if k == 1:
                second.set()
            yield k

    results = in_order(steps(), lambda k: second.wait(10) and k, 1, ahead=0)
    assert next(results) == 0 and taken == [0, 1]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_step_or_in_the_work_arrives(workers: int) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("step")

    with pytest.raises(ValueError, match="step"):
        list(in_order(broken(), lambda k: k, workers))
    with pytest.raises(ZeroDivisionError):
        list(in_order(iter([1, 0]), lambda k: 1 // k, workers))


def test_libraries_compute_with_one_thread_while_several_work() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        results = in_order(iter(range(3)), lambda k: torch.get_num_threads(), 2)
        assert next(results) == 1 == torch.get_num_threads()
        assert list(results) == [1, 1] and torch.get_num_threads() == 2
        assert list(in_order(iter(range(2)), lambda k: torch.get_num_threads(), 1)) == [2, 2]
    finally:
        torch.set_num_threads(before)


def test_there_is_a_core() -> None:
    assert 1 <= free_cores() <= 8
