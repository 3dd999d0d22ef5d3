"""From a source and two states of its keypoints to frames, with the First Order model."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from tests.helpers.tiny_motion import keypoints, picture, tiny


def test_one_source_serves_many_frames() -> None:
    model, source = tiny(), picture(1)
    at = model.keypoints(source)
    driving = torch.cat([picture(seed) for seed in (2, 3)])
    to = model.keypoints(driving)
    together = model.render(model.encode(source), at, to)
    alone = [model.render(source, at, to[i : i + 1]).prediction for i in range(2)]
    assert together.prediction.shape == (2, 3, 32, 32)
    assert together.deformed.shape == (2, 3, 32, 32)
    assert together.occlusion.shape == (2, 1, 16, 16)
    assert torch.allclose(together.prediction, torch.cat(alone), atol=1e-5)
    assert float(together.prediction.abs().max()) <= 1


def test_shapes_that_do_not_fit_are_refused() -> None:
    model, source = tiny(), picture(1)
    points = keypoints(0, count=3, number=3)
    with pytest.raises(UsageError, match="2 sources for 3 driving frames"):
        model.render(source.expand(2, -1, -1, -1), points, points)
    with pytest.raises(UsageError, match="expected as many of both"):
        model.render(source, keypoints(0, count=1, number=4), points)
