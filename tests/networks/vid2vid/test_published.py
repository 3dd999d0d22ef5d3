"""The published readers of heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from latentface.networks.vid2vid import Vid2VidConfig
from latentface.networks.vid2vid.published import BinnedReader, Bottleneck, CanonicalKeypoints

TINY = Vid2VidConfig(
    resolution=64, num_keypoints=3, depth=2, volume=4, keypoint_scale=0.5, keypoint_width=4, keypoint_max=8,
    keypoint_blocks=2, keypoint_channels=8, pose_width=4, pose_levels=(8, 8, 16, 16), dense_blocks=2, generator_width=4,
    generator_max=8, bottleneck_blocks=1,
)  # fmt: skip


def test_yaw_and_roll_are_read_from_the_layers_that_were_trained_for_them() -> None:
    reader = BinnedReader(TINY).eval()
    with torch.no_grad():
        for name, best in (("fc_roll", 40), ("fc_pitch", 33), ("fc_yaw", 20)):
            reader.he_estimator.get_parameter(f"{name}.bias")[best] = 100.0
    head = reader(torch.zeros(1, 3, 64, 64))
    assert head.angles[0].tolist() == pytest.approx([21.0, 0.0, -39.0], abs=1e-3)
    assert (head.rigid, head.scale.tolist(), head.value.shape) == (False, [[1.0]], (1, 3, 3))


def test_a_keypoint_is_where_its_volume_is_highest() -> None:
    detector = CanonicalKeypoints(TINY).eval()
    logits = torch.zeros(1, 3, 2, 8, 8)
    for k, (z, y, x) in enumerate(((0, 0, 0), (1, 7, 7), (0, 0, 7))):
        logits[0, k, z, y, x] = 50.0
    detector.kp = nn.Identity()  # type: ignore[assignment]
    detector.predictor.forward = lambda x: logits  # type: ignore[method-assign]
    found = detector(torch.zeros(1, 3, 64, 64))[0]
    torch.testing.assert_close(found, torch.tensor([[-1.0, -1, -1], [1, 1, 1], [1, -1, -1]]))


def test_a_bottleneck_halves_or_keeps_the_size() -> None:
    x = torch.rand(1, 8, 8, 8)
    assert Bottleneck(8)(x).shape == x.shape
    assert Bottleneck(8, 2)(x).shape == (1, 8, 4, 4)
