"""A configuration out of tensors' shapes, and what a file says wrongly of itself."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.shapes import infer_config
from tests.helpers.checkpoint_writers import SMALL, make


def filters(*taps: float) -> list[torch.Tensor]:
    line = torch.tensor(taps)
    return [torch.outer(line, line) / line.sum() ** 2 * scale for scale in (1, 4)]  # stored at any scale


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, c_dim=3),
        replace(SMALL, architecture="resnet"),
        replace(SMALL, architecture="orig"),
        replace(SMALL, img_channels=1),
        GeneratorConfig(32, z_dim=16, w_dim=4, num_mapping_layers=5, channel_base=128, channel_max=8),
    ],
)
def test_the_config_of_a_generator_is_inferred(config: GeneratorConfig) -> None:
    found = infer_config(Generator(config, seed=0).state_dict(), {}, [])
    for name in ("resolution", "z_dim", "w_dim", "c_dim", "num_mapping_layers", "img_channels", "architecture"):
        assert getattr(found, name) == getattr(config, name), name
    assert [found.channels(r) for r in found.resolutions] == [config.channels(r) for r in config.resolutions]


def test_what_shapes_cannot_tell_is_believed() -> None:
    state = make().state_dict()
    found = infer_config(state, {"conv_clamp": 256, "lr_multiplier": 0.5, "channel_base": 64, "c_dim": None}, [])
    assert (found.conv_clamp, found.lr_multiplier) == (256.0, 0.5)


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"resolution": 32}, "it says resolution 32, its tensors say 16"),
        ({"w_dim": 9}, "it says w_dim 9, its tensors say 8"),
        ({"architecture": "resnet"}, "it says architecture 'resnet', its tensors say skip"),
        ({"channel_max": 3}, "channels at 4 pixels"),
        ({"lr_multiplier": "fast"}, "in place of a number"),
        ({"conv_clamp": math.inf}, "in place of a number"),
    ],
)
def test_a_file_that_is_wrong_about_itself(claims: dict[str, Any], word: str) -> None:
    with pytest.raises(Unreadable, match=word):
        infer_config(make().state_dict(), claims, [])


def test_taps_are_read_off_the_filters_whatever_their_scale() -> None:
    found = infer_config(make().state_dict(), {"resample_filter": [1, 3, 3, 1]}, filters(1, 3, 3, 1))
    assert found.resample_filter == (1.0, 3.0, 3.0, 1.0)
    assert infer_config(make().state_dict(), {}, filters(1, 2, 1)).resample_filter == (1.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("claimed", "stored", "word"),
    [
        ([1, 2, 1], filters(1, 3, 3, 1), "its resampling filters differ"),
        (None, [*filters(1, 3, 3, 1), *filters(1, 2, 2, 1)], "its resampling filters differ"),
        (None, [torch.eye(4)], "not separable"),
        (None, [torch.zeros(4, 4)], "a resampling filter of shape"),
        (None, [torch.full((4, 4), math.nan)], "a resampling filter of shape"),
    ],
)
def test_filters_that_no_generator_has(claimed: list[int] | None, stored: list[torch.Tensor], word: str) -> None:
    with pytest.raises(Unreadable, match=word):
        infer_config(make().state_dict(), {"resample_filter": claimed}, stored)


@pytest.mark.parametrize("name", ["mapping.fc0.weight", "synthesis.b16.conv1.weight", "synthesis.b16.torgb.weight"])
def test_missing_and_misshapen_tensors_are_named(name: str) -> None:
    state = dict(make().state_dict())
    with pytest.raises(Unreadable, match=re.escape(f"tensor {name} has shape [0]")):
        infer_config(state | {name: torch.ones(0)}, {}, [])
    del state[name]
    with pytest.raises(Unreadable, match=re.escape(name)):
        infer_config(state, {}, [])


def test_a_state_without_blocks_is_none() -> None:
    with pytest.raises(Unreadable, match="no synthesis blocks"):
        infer_config({"mapping.fc0.weight": torch.ones(8, 8)}, {}, [])
