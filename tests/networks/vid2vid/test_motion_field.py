"""The motion field in space."""

from __future__ import annotations

from dataclasses import replace

import torch

from latentface.networks.vid2vid.geometry import head_motions, volume_grid
from latentface.networks.vid2vid.motion_field import MotionFieldNetwork, VolumeMotion
from tests.helpers.talking_heads import CONFIG, heads

VOLUME = torch.randn(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_field_is_the_mean_of_the_motions_by_their_masks() -> None:
    network = MotionFieldNetwork(CONFIG).eval()
    source, driving = heads(2), heads(2, seed=1)
    found = network(VOLUME, source, driving)
    torch.testing.assert_close(found.mask.sum(1), torch.ones(2, 3, 8, 8))
    wanted = (found.mask[..., None] * head_motions(source, driving, 3, 8, 8)).sum(1)
    torch.testing.assert_close(found.field, wanted)
    assert found.occlusion.shape == (2, 1, 8, 8)
    assert found.surface is not None
    torch.testing.assert_close(found.surface.sum(2), torch.ones(2, 1, 8, 8))


def test_what_is_seen_is_the_surface_s_layer() -> None:
    cells = volume_grid(3, 4, 4, VOLUME)[None]
    field = cells + torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1, 1)
    surface = torch.zeros(1, 1, 3, 4, 4)
    surface[:, :, 2] = 1
    mask = torch.rand(1, 5, 3, 4, 4)
    flat, share = VolumeMotion(field, mask, torch.ones(1, 1, 4, 4), surface).seen
    torch.testing.assert_close(flat, field[:, 2, ..., :2])
    torch.testing.assert_close(share, mask[:, :, 2])
    mean, _ = VolumeMotion(field, mask, torch.ones(1, 1, 4, 4), None).seen
    torch.testing.assert_close(mean, field[..., :2].mean(1))


def test_without_blending_no_surface_is_looked_for() -> None:
    network = MotionFieldNetwork(replace(CONFIG, blend=False))
    assert network.surface is None and network(VOLUME, heads(2), heads(2)).surface is None
