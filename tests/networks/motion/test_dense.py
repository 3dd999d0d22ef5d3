"""The dense motion: a weighted mean of the keypoints' motions and of standing still."""

from __future__ import annotations

import torch

from latentface.networks.motion.geometry import grid, sparse_motions
from tests.helpers.tiny_motion import TINY, keypoints, picture, tiny


def test_the_field_is_the_mean_of_the_motions_under_the_mask() -> None:
    network, small = tiny().generator.dense_motion_network, picture(0, 16)
    source, driving = keypoints(1, 1, 3), keypoints(2, 1, 3)
    motion = network(small, source, driving)
    assert motion.mask.shape == (1, TINY.num_keypoints + 1, 16, 16)
    torch.testing.assert_close(motion.mask.sum(1), torch.ones(1, 16, 16))
    wanted = (motion.mask[..., None] * sparse_motions(source, driving, 16, 16)).sum(1)
    torch.testing.assert_close(motion.field, wanted)
    assert motion.candidates.shape == (1, 4, 3, 16, 16)
    assert float(motion.occlusion.min()) > 0 and float(motion.occlusion.max()) < 1


def test_equal_keypoints_leave_the_source_in_its_place() -> None:
    network, small, points = tiny(align_corners=True).generator.dense_motion_network, picture(0, 16), keypoints(1, 1, 3)
    motion = network(small, points, points)
    torch.testing.assert_close(motion.field, grid(16, 16, small)[None], atol=1e-5, rtol=0)
    torch.testing.assert_close(motion.candidates, small[:, None].expand_as(motion.candidates), atol=1e-4, rtol=0)


def test_a_mask_that_picks_the_background_moves_nothing() -> None:
    network = tiny().generator.dense_motion_network
    network.mask.weight.zero_()
    network.mask.bias.copy_(torch.tensor([50.0, 0.0, 0.0, 0.0]))
    motion = network(picture(0, 16), keypoints(1, 1, 3), keypoints(2, 1, 3))
    torch.testing.assert_close(motion.field, grid(16, 16, motion.field)[None])
