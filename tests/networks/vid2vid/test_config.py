"""Sizes of free-view models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latentface.errors import UsageError
from latentface.networks.vid2vid import Vid2VidConfig
from tests.helpers.talking_heads import CONFIG


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth=0 is not possible: use 1 or more"),
        ({"resolution": 40}, "not a multiple of 16"),
        ({"generator_max": 7}, "do not fill 2 x 3"),
        ({"decoder": "mlp"}, "use residual or spade"),
        ({"variance": 0.0}, "positive numbers"),
        ({"decoder": "spade"}, "cannot blend"),
        ({"reader": "bins", "resolution": 128, "keypoint_channels": 16}, "not a multiple of depth"),
    ],
)
def test_impossible_sizes(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CONFIG, **change)


def test_the_defaults_are_those_of_the_published_network() -> None:
    assert (Vid2VidConfig().inner, Vid2VidConfig().multiple) == (256, 128)


def test_lists_from_a_file_become_tuples() -> None:
    assert replace(CONFIG, reader_widths=[8, 8, 8, 8]) == CONFIG  # type: ignore[arg-type]
