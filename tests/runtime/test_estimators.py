"""What can be quantised, and that it is the network itself."""

from __future__ import annotations

import pytest
import torch

from latentface import pretrained
from latentface.errors import UnknownNetwork, UsageError
from latentface.networks.motion import Keypoints
from latentface.runtime.estimators import open_estimator, rewritten


def test_a_rewritten_network_estimates_the_same() -> None:
    for network in (pretrained.load_landmarks(), pretrained.load_head_reader()):
        size = network.config.input_size
        images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
        with torch.no_grad():
            known, found = network(images), rewritten(network)(images)
        for a, b in zip(known, found, strict=True):
            torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def test_keypoints_are_those_of_the_motion_model() -> None:
    estimator, model = open_estimator("face-motion"), pretrained.load_motion()
    side = model.config.resolution
    pictures = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        known, found = model.keypoints(pictures), Keypoints(*estimator.network(pictures))
    torch.testing.assert_close(found.value, known.value)
    torch.testing.assert_close(found.jacobian, known.jacobian)


def test_other_networks_are_refused() -> None:
    with pytest.raises(UsageError, match="emotion is a network of kind emotion; expected one of kind landmarks"):
        open_estimator("emotion")
    with pytest.raises(UnknownNetwork, match="did you mean landmarks"):
        open_estimator("landmark")
