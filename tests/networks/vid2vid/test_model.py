"""The complete model: heads are read, sources are moved."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.vid2vid import Vid2VidModel
from tests.helpers.talking_heads import CONFIG, heads, talking_head

PICTURE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_one_source_serves_many_frames() -> None:
    model = talking_head()
    head = model.keypoints(PICTURE)
    assert head.value.shape == (1, 4, 3) and head.rigid
    drawn = model.render(PICTURE, head, heads(3))
    assert drawn.prediction.shape == drawn.deformed.shape == (3, 3, 32, 32)
    assert drawn.occlusion.shape == (3, 1, 8, 8)
    again = model.render(model.encode(PICTURE), head, heads(3)[1:2])
    torch.testing.assert_close(again.prediction, drawn.prediction[1:2], atol=1e-5, rtol=1e-5)


def test_a_network_that_blends_keeps_the_detail_of_a_larger_picture() -> None:
    model = talking_head()
    head = model.keypoints(PICTURE)
    drawn = model.predict(model.encode(PICTURE), head, head)
    large = torch.rand(1, 4, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    made = model.compose(large, drawn)
    assert made.shape == large.shape
    motion = drawn.motion
    still = (motion.field - torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 8)] * 2, indexing="xy"), -1)).abs()
    assert float(still.max()) < 1e-4  # the same head: nothing moves
    torch.testing.assert_close(made, large, atol=1e-3, rtol=0)


def test_gradients_reach_every_part() -> None:
    model = Vid2VidModel(CONFIG)
    pictures = PICTURE.expand(2, -1, -1, -1).clone()
    pictures[1] = -pictures[1]
    read = model.keypoints(pictures)
    made = model.render(pictures, read, heads(2)).prediction
    (made.square().mean() + read.value.square().mean()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert not silent


def test_wrong_shapes_are_refused() -> None:
    model = talking_head()
    with pytest.raises(UsageError, match=r"\[1, 3, 16, 16\]; expected \[N, 3, 32, 32\]"):
        model.keypoints(PICTURE[:, :, ::2, ::2])
    with pytest.raises(UsageError, match="2 source keypoints for 3 driving frames"):
        model.render(PICTURE, heads(2), heads(3))
    with pytest.raises(UsageError, match="expected as many of both"):
        model.render(PICTURE, heads(1), heads(1, keypoints=5))
