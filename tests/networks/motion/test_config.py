"""Sizes of a motion model: which are possible, and what follows from them."""

from __future__ import annotations

from typing import Any

import pytest

from latentface.errors import UsageError
from latentface.networks.motion import MotionConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_keypoints": 0}, {"scale": 0.3}, {"variance": 0.0}, {"resolution": 100}, {"dense_blocks": 1.5},
        {"keypoint_scale": 0.3}, {"keypoint_padding": -1}, {"keypoint_stem": -1},
    ],
)  # fmt: skip
def test_impossible_configs_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        MotionConfig(**wrong)


def test_sides_are_multiples_of_what_the_deepest_network_halves() -> None:
    assert MotionConfig().multiple == 2**5 * 4  # five halvings at a quarter of the size
    assert MotionConfig(keypoint_scale=1.0).multiple == 2**5 * 4  # the dense motion still looks at a quarter
    assert MotionConfig(keypoint_stem=8).multiple == 2**6 * 4
    assert MotionConfig(keypoint_blocks=4, dense_blocks=4, keypoint_scale=0.5, keypoint_stem=8).multiple == 64
    assert MotionConfig(scale=1.0, keypoint_blocks=1, dense_blocks=1, generator_blocks=3).multiple == 8


def test_keypoints_have_their_own_scale_where_it_is_given() -> None:
    assert (MotionConfig(scale=0.5).keypoints_at, MotionConfig(keypoint_scale=1.0).keypoints_at) == (0.5, 1.0)
