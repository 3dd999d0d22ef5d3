"""The multi-scale discriminator: published names, shapes and scales."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.motion.discriminator import MultiScaleDiscriminator, scale_name, scale_of
from tests.helpers.tiny_motion import keypoints


def test_the_discriminator_has_the_published_names_and_shapes() -> None:
    discriminator = MultiScaleDiscriminator(keypoints=10)
    names = set(discriminator.state_dict())
    assert {"discs.1.down_blocks.0.conv.weight", "discs.1.down_blocks.3.norm.weight", "discs.1.conv.weight"} <= names
    assert "discs.1.down_blocks.0.norm.weight" not in names
    features, verdict = discriminator({1.0: torch.rand(1, 3, 96, 96)}, keypoints(0, 1, 10))["1"]
    assert [map.shape[1] for map in features] == [64, 128, 256, 512]
    assert verdict.shape[:2] == (1, 1)


def test_the_spectral_discriminator_sees_no_keypoints() -> None:
    discriminator = MultiScaleDiscriminator(spectral=True)
    _, verdict = discriminator({1.0: torch.rand(1, 3, 96, 96)}, keypoints(0, 1, 10))["1"]
    assert bool(torch.isfinite(verdict).all())


def test_each_scale_sees_its_own_picture() -> None:
    discriminator = MultiScaleDiscriminator(scales=(1.0, 0.5))
    large, small = torch.rand(1, 3, 96, 96), torch.rand(1, 3, 64, 64)
    answers = discriminator({1.0: large, 0.5: small}, keypoints(0, 1, 10))
    assert set(answers) == {"1", "0-5"}
    assert torch.equal(answers["0-5"][1], discriminator.discs["0-5"](small, keypoints(0, 1, 10))[1])
    assert answers["1"][1].shape[2] > answers["0-5"][1].shape[2]


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
def test_the_name_of_a_scale_can_be_read_back(scale: float) -> None:
    assert "." not in scale_name(scale) and scale_of(scale_name(scale)) == scale
