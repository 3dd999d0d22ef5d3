"""Models made ready to animate: the same numbers from less work."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.motion.blocks import Up
from latentface.networks.motion.inference import BlockConv, FoldedUp, WinogradConv, fold
from tests.helpers.tiny_motion import TINY, picture, tiny


def test_folding_changes_nothing_but_the_work() -> None:
    model, source = tiny(), picture(1)
    folded = fold(model)
    norms = [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == TINY.bottleneck_blocks  # the first norm of a residual block follows no convolution
    at, to = model.keypoints(source), model.keypoints(picture(2))
    assert torch.allclose(folded.keypoints(source).jacobian, at.jacobian, atol=1e-5)
    ours, theirs = folded.render(source, at, to), model.render(source, at, to)
    assert torch.allclose(ours.prediction, theirs.prediction, atol=2e-5)


@pytest.mark.parametrize("channels", [(6, 4), (5, 1)])
def test_folded_upsampling_is_the_same_convolution(channels: tuple[int, int]) -> None:
    up = Up(*channels).eval()
    up.norm = torch.nn.Identity()
    x = torch.randn(2, channels[0], 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(FoldedUp(up.conv)(x), up(x), atol=1e-5)


def test_a_convolution_by_blocks_is_the_same() -> None:
    convolution = torch.nn.Conv2d(5, 3, 7, padding=3)
    x = torch.randn(2, 5, 8, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(BlockConv(convolution)(x), convolution(x), atol=1e-5)


def test_winograd_is_the_same_convolution() -> None:
    convolution = torch.nn.Conv2d(6, 5, 3, padding=1)
    x = torch.randn(2, 6, 8, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(WinogradConv(convolution)(x), convolution(x), atol=2e-5)


def test_wide_networks_fold_into_winograd_and_agree() -> None:
    model = tiny(generator_width=64, generator_max=128, generator_blocks=1)
    folded = fold(model)
    assert isinstance(folded.generator.bottleneck.r0.conv2, WinogradConv)
    source = picture(1)
    at, to = model.keypoints(source), model.keypoints(picture(2))
    assert torch.allclose(folded.render(source, at, to).prediction, model.render(source, at, to).prediction, atol=5e-5)
    odd = fold(tiny(generator_width=32, generator_max=128, generator_blocks=2))
    assert isinstance(odd.generator.bottleneck.r0.conv2, torch.nn.Conv2d)  # two rows a tile's four do not fit
