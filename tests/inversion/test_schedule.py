"""The schedule of a search: learning rate, exploratory noise, sides, and when a loss is flat."""

from __future__ import annotations

import math

import pytest

from latentface.inversion import schedule
from latentface.inversion.schedule import Pace
from latentface.options.projection import ProjectOptions


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (1, 0.2), (5, 1.0), (74, 1.0), (75, 1.0), (99, None)])
def test_learning_rate_against_the_formula(step: int, expected: float | None) -> None:
    found = schedule.learning_rate(step, 100, 0.4)
    if expected is None:
        expected = 0.5 - 0.5 * math.cos(math.pi * 0.01 / 0.25)
    assert found == pytest.approx(0.4 * expected)


def test_exploratory_noise_ends_at_three_quarters() -> None:
    found = [schedule.noise_strength(step, 100) for step in (0, 30, 75, 90)]
    assert found == pytest.approx([1.0, (1 - 0.3 / 0.75) ** 2, 0.0, 0.0])


def walk(losses: list[float], flat: float, steps: int) -> tuple[list[float], Pace]:
    """The places in the schedule that a crop with these losses passes, and its pace at the end."""
    pace, places = Pace(steps, flat), []
    while not pace.through:
        places.append(pace.at)
        pace.update(losses[min(pace.step, len(losses) - 1)])
        pace.step += 1
    return places, pace


def test_a_loss_that_falls_goes_all_the_way() -> None:
    falling = [0.9**k for k in range(400)]
    for flat in (0.0, 0.01):
        assert walk(falling, flat, 400)[0] == list(range(400))
    assert walk([1.0], 0.0, 400)[0] == list(range(400)), "nothing is flat enough for 0"
    assert walk([math.inf, 1.0], 0.5, 30)[0] == list(range(30)), "too short to be judged"


def test_a_flat_loss_goes_straight_to_the_ramp_down() -> None:
    window, ramp = schedule.WINDOW, schedule.LONGEST_RAMP
    falling = [0.9**k for k in range(100)]  # and flat from there
    places, pace = walk(falling, 0.01, 2000)
    gain = 99 + window  # the first step whose window holds nothing of the fall
    assert places[: gain + 2] == list(range(gain + 2))
    assert pace.length == len(places) == gain + 1 + ramp
    rates = [schedule.learning_rate(at, 2000, 1.0) for at in places[gain + 1 :]]
    assert rates == pytest.approx([0.5 + 0.5 * math.cos(math.pi * k / ramp) for k in range(ramp)], abs=1e-9)
    wobbling = [1.0 + 0.3 * (-1) ** k for k in range(2000)]
    assert len(walk(wobbling, 0.01, 2000)[0]) == window + 1 + ramp + 1, "judged by the lowest so far"


def test_flatness_changes_nothing_once_the_learning_rate_falls() -> None:
    losses = [0.9 ** min(k, 151) for k in range(200)]
    assert walk(losses, 0.01, 200)[0] == list(range(200))
    short = walk([1.0], 0.01, 80)[0]
    assert len(short) == schedule.WINDOW + 1 + 20, "the ramp of a short run is its own"


def test_flatness_is_explained_as_it_is_judged() -> None:
    text = ProjectOptions.__dataclass_fields__["flat"].metadata["help"]
    assert f"{schedule.WINDOW} steps" in text
    assert len(walk([1.0], ProjectOptions().flat, 1000)[0]) == 1000, "never, unless asked for"


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 64), (16, 64), (17, 128), (34, 256), (49, 256), (50, 1024), (99, 1024)]
)
def test_a_coarse_search_passes_through_the_sides_it_can_compare_at(step: int, expected: int) -> None:
    coarse = schedule.coarse_sides((4, 8, 16, 32, 64, 128, 256, 512, 1024), near=False)
    assert schedule.side_at(step, 100, 0.5, coarse, 1024) == expected
    assert schedule.side_at(step, 100, 0.0, coarse, 1024) == 1024  # nothing coarse was asked for
    assert schedule.side_at(step, 100, 0.5, [], 1024) == 1024


def test_coarse_sides_are_those_that_save_time() -> None:
    assert schedule.coarse_sides((32, 64, 128, 256), near=False) == [64, 128]
    assert schedule.coarse_sides((32, 64, 128, 256), near=True) == [128]
    assert schedule.coarse_sides((128, 256, 512, 1024), near=True) == [256]
    assert schedule.coarse_sides((32, 64, 128), near=False) == []
    assert schedule.coarse_sides((1024,), near=False) == []  # a network that draws nothing on its way
