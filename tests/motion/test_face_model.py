"""Both kinds of networks serve the engine that moves keypoints."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from latentface.motion.face_model import FaceModel
from latentface.networks.motion import Keypoints
from latentface.networks.vid2vid import Head
from tests.helpers.motion_models import motion_model
from tests.helpers.talking_heads import talking_head


@pytest.mark.parametrize(("model", "kind"), [(motion_model(), Keypoints), (talking_head(), Head)])
def test_a_network_has_what_the_engine_needs(model: nn.Module, kind: type) -> None:
    for name, member in inspect.getmembers(FaceModel):
        if not name.startswith("_"):
            assert hasattr(model, name), name
            assert callable(getattr(model, name)) == inspect.isfunction(member)
    picture = torch.zeros(1, 3, 32, 32)
    points = model.keypoints(picture)  # type: ignore[operator]
    assert isinstance(points, kind)
    drawn = model.predict(model.encode(picture), points, points)  # type: ignore[operator]
    assert model.compose(torch.zeros(1, 4, 50, 50), drawn).shape == (1, 4, 50, 50)  # type: ignore[operator]
