"""The keypoint detector: where it finds points, and at which scale it looks."""

from __future__ import annotations

import torch

from latentface.networks.motion.geometry import grid
from latentface.networks.motion.keypoints import KeypointDetector
from tests.helpers.tiny_motion import TINY, tiny


def test_padded_keypoints_lie_where_the_picture_has_them() -> None:
    """A detector whose map is the picture itself finds a dot; without padding it is too far out."""
    found = []
    for padding in (3, 0):
        detector = tiny(scale=1.0, keypoint_padding=padding).kp_detector
        detector.kp.weight.zero_()
        detector.kp.weight[:, -1, 3, 3] = 10.0  # the decoder's last channels are the picture's
        dot = torch.zeros(1, 3, 32, 32)
        dot[..., 8, 25] = 1
        found.append(detector(dot).value[0, 0])
    wanted = grid(32, 32, dot)[8, 25]
    assert torch.allclose(found[0], wanted, atol=1e-4)
    assert float((found[1] - wanted).abs().min()) > 0.05


def test_a_fresh_detector_has_identity_jacobians_and_points_inside_the_picture() -> None:
    found = KeypointDetector(TINY)(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert found.value.shape == (2, 3, 2) and found.jacobian.shape == (2, 3, 2, 2)
    assert torch.allclose(found.jacobian, torch.eye(2).expand(2, 3, 2, 2), atol=1e-5)
    assert float(found.value.detach().abs().max()) < 1


def test_a_flat_map_puts_the_keypoint_in_the_middle() -> None:
    detector = tiny().kp_detector
    detector.kp.weight.zero_()
    found = detector(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(found.value, torch.zeros(1, 3, 2), atol=1e-6)
