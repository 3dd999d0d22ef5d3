"""Distorted copies of pictures: they grow with their strength, follow their seed and stay pictures."""

from __future__ import annotations

import pytest
import torch

from latentface.training.distortions import DISTORTIONS, blend, distort, vary
from tests.helpers.smooth_pictures import smooth_pictures


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda each: each.__name__)
def test_a_distortion_grows_with_its_strength_and_follows_its_seed(distortion) -> None:
    images = smooth_pictures()
    gaps = []
    for strength in (0.0, 0.3, 1.0):
        changed = distortion(images, torch.full((6,), strength), stream())
        assert changed.shape == images.shape
        assert torch.equal(changed, distortion(images, torch.full((6,), strength), stream()))
        gaps.append((changed - images).abs().mean().item())
    # resampling an unmoved picture rounds a little
    assert gaps[0] < 1e-4 < gaps[1] < gaps[2]


def test_every_picture_is_distorted_on_its_own() -> None:
    images = smooth_pictures()
    strength = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    for distortion in DISTORTIONS:
        changed = (distortion(images, strength, stream()) - images).abs().mean(dim=(1, 2, 3))
        assert (changed[strength == 0] < 1e-4).all() and (changed[strength == 1] > 1e-3).all()


def test_a_blend_takes_the_neighbour_of_the_whole_batch() -> None:
    images = smooth_pictures()
    mixed = blend(images, torch.ones(6), stream(1))
    whole = [(mixed[k] - images[k - 1]).abs().max() < 1e-6 for k in range(6)]
    assert 0 < sum(map(bool, whole)) < 6


def test_distorted_copies_stay_pictures_and_leave_the_global_stream_alone() -> None:
    images = smooth_pictures(40)
    before = torch.random.get_rng_state()
    copies = distort(images, stream())
    varied = vary(images, 24, stream())
    assert torch.equal(before, torch.random.get_rng_state())
    assert copies.shape == images.shape and varied.shape == (40, 3, 24, 24)
    for each in (copies, varied):
        assert each.abs().max() <= 1.0
    assert ((copies - images).abs().mean(dim=(1, 2, 3)) > 1e-4).all()
    assert not torch.equal(copies, distort(images, stream(1)))
