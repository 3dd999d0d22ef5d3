"""Configs of generators: what is possible, and what follows from them."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest

from latentface.errors import UsageError
from latentface.networks.generator import GeneratorConfig

SMALL = GeneratorConfig(resolution=16, z_dim=12, w_dim=10, num_mapping_layers=2, channel_base=96, channel_max=9)


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution": 100}, {"resolution": 4}, {"resolution": 2048}, {"resolution": 64.0}, {"architecture": "deep"},
        {"z_dim": 0}, {"c_dim": -1}, {"conv_clamp": 0.0}, {"channel_base": 8}, {"num_mapping_layers": 0},
    ],
)  # fmt: skip
def test_config_refuses(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(changes)))):
        dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize("resolution", [8, 64, 1024])
def test_there_is_a_w_for_each_convolution_and_one_for_the_last_colours(resolution: int) -> None:
    config = GeneratorConfig(resolution=resolution)
    assert config.num_ws == 2 * math.log2(resolution) - 2
    assert config.resolutions[0] == 4 and config.resolutions[-1] == resolution
    assert all(large == 2 * small for small, large in pairwise(config.resolutions))


def test_channels_shrink_with_the_resolution_below_their_limit() -> None:
    config = GeneratorConfig(resolution=1024, channel_base=32768, channel_max=512)
    assert [config.channels(r) for r in (4, 64, 128, 1024)] == [512, 512, 256, 32]


def test_a_filter_from_a_file_becomes_numbers() -> None:
    assert GeneratorConfig(resolution=8, resample_filter=[1, 2, 1]).resample_filter == (1.0, 2.0, 1.0)
    with pytest.raises(UsageError, match="33 taps"):
        GeneratorConfig(resolution=8, resample_filter=(1.0,) * 33)
