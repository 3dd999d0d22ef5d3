"""Blocks of volumes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from latentface.networks.vid2vid.volume import VolumeDown, VolumeHourglass, VolumeResidual, VolumeUp

X = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_depth_is_kept() -> None:
    assert VolumeDown(3, 5)(X).shape == (2, 5, 4, 4, 4)
    assert VolumeUp(3, 5)(X).shape == (2, 5, 4, 16, 16)


def test_halving_averages_and_doubling_repeats() -> None:
    down, up = VolumeDown(3, 3).eval(), VolumeUp(3, 3).eval()
    for block in (down, up):
        nn.init.zeros_(block.conv.weight)
        assert block.conv.bias is not None
        nn.init.zeros_(block.conv.bias)
        with torch.no_grad():
            for k in range(3):
                block.conv.weight[k, k, 1, 1, 1] = 1.0
    torch.testing.assert_close(down(X), F.avg_pool3d(X.relu(), (1, 2, 2)), atol=1e-4, rtol=1e-4)
    wanted = X.relu().repeat_interleave(2, 3).repeat_interleave(2, 4)
    torch.testing.assert_close(up(X), wanted, atol=1e-4, rtol=1e-4)


def test_a_residual_block_adds() -> None:
    block = VolumeResidual(3)
    nn.init.zeros_(block.conv2.weight)
    assert block.conv2.bias is not None
    nn.init.zeros_(block.conv2.bias)
    torch.testing.assert_close(block(X), X)


@pytest.mark.parametrize("mix", [False, True])
def test_the_hourglass_ends_with_its_input(mix: bool) -> None:
    glass = VolumeHourglass(3, 4, 2, 6, mix)
    assert [block.conv.out_channels for block in glass.encoder.down_blocks] == [6, 6]  # type: ignore[union-attr]
    out = glass(X)
    assert out.shape == (2, glass.channels, 4, 8, 8) == (2, 7, 4, 8, 8)
    assert torch.equal(out[:, 4:], X) != mix
