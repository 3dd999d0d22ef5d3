"""Neural style transfer: the style comes nearer, the contours stay, colours are matched first."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.perceptual import PerceptualNet
from latentface.styles.losses import StyleDistance, tone_difference
from latentface.styles.texture import recoloured, scaled, total_steps, transfer_texture
from tests.helpers.smooth_pictures import smooth_pictures


@pytest.fixture
def distance() -> PerceptualNet:
    torch.manual_seed(0)
    return PerceptualNet().requires_grad_(False)


def striped(side: int = 48) -> torch.Tensor:
    across = torch.arange(side).float()
    return torch.sign(torch.sin(across + across[:, None]))[None, None].expand(1, 3, -1, -1).contiguous()


def test_the_style_comes_nearer_and_the_content_stays(distance: PerceptualNet) -> None:
    content, style = smooth_pictures(1, 48), striped()
    seen: list[int] = []
    made = transfer_texture(content, style, distance, steps=12, on_step=lambda step, loss: seen.append(step))
    assert made.shape == content.shape and float(made.abs().max()) <= 1
    assert seen == list(range(total_steps(48, 12)))
    look = StyleDistance(distance.features(style))
    assert float(look(distance.features(made))) < 0.8 * float(look(distance.features(content)))
    assert float(tone_difference(made, content, torch.ones_like(content[:, :1]))) < 0.9
    assert torch.equal(made, transfer_texture(content, style, distance, steps=12))


def test_colours_take_mean_and_covariance_of_the_style() -> None:
    content, style = 0.5 * smooth_pictures(1), 0.3 * smooth_pictures(2)[1:] + 0.2
    made = recoloured(content, style)[0].flatten(1)
    assert torch.allclose(made.mean(1), style[0].flatten(1).mean(1), atol=0.02)
    assert torch.allclose(torch.cov(made), torch.cov(style[0].flatten(1)), atol=0.02)


def test_sizes_double_and_take_half_the_steps() -> None:
    assert total_steps(100, 40) == 40 and total_steps(400, 40) == 60 and total_steps(800, 40) == 70
    assert scaled(torch.zeros(1, 3, 64, 100), 0.5).shape == (1, 3, 32, 50)
    assert scaled(torch.zeros(1, 3, 64, 100), 0.1).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("shape", [(1, 3, 16, 64), (2, 3, 64, 64), (3, 64, 64)])
def test_other_shapes_are_refused(distance: PerceptualNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="content"):
        transfer_texture(torch.zeros(shape), torch.zeros(1, 3, 64, 64), distance, steps=1)
