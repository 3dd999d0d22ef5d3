"""Building blocks of the motion model: sizes, channels, and the low-pass filter before thinning."""

from __future__ import annotations

import math

import pytest
import torch

from latentface.networks.motion.blocks import AntiAlias, Decoder, Down, Encoder, Hourglass, Residual, Up, anti_alias


def test_steps_halve_and_double_the_size() -> None:
    x = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    assert Down(3, 5)(x).shape == (2, 5, 4, 6)
    assert Up(3, 5)(x).shape == (2, 5, 16, 24)


def test_a_residual_block_of_silent_convolutions_is_the_identity() -> None:
    block, x = Residual(4).eval(), torch.randn(1, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(x), x)


def test_an_encoder_doubles_its_channels_up_to_the_limit() -> None:
    levels = Encoder(inputs=3, width=4, blocks=4, most=20)(torch.zeros(1, 3, 32, 16))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (3, 32, 16), (8, 16, 8), (16, 8, 4), (20, 4, 2), (20, 2, 1)
    ]  # fmt: skip


def test_a_decoder_joins_each_level_and_ends_with_the_input() -> None:
    encoder, decoder = Encoder(3, 4, 3, 20).eval(), Decoder(3, 4, 3, 20).eval()
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    out = decoder(encoder(x))
    assert out.shape == (1, decoder.channels, 16, 16) and decoder.channels == 4 + 3
    assert torch.equal(out[:, 4:], x)
    assert Hourglass(3, 4, 3, 20).channels == 7


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.125])
def test_anti_aliasing_keeps_brightness_and_every_nth_pixel(scale: float) -> None:
    block = AntiAlias(2, scale)
    side = 2 * round(4 * (1 / scale - 1) / 2) + 1
    assert block.weight.shape == (2, 1, side, side)
    assert float(block.weight[0].sum()) == pytest.approx(1.0, abs=1e-5)
    thinned = block(torch.ones(1, 2, 64, 64))
    assert thinned.shape == (1, 2, 64 * scale, 64 * scale)
    assert float(thinned[0, 0, 4, 4]) == pytest.approx(1.0, abs=1e-3)


def test_the_filter_is_a_gaussian_of_its_formula() -> None:
    weight = AntiAlias(1, 0.25).weight[0, 0]
    middle, sigma = weight.shape[0] // 2, 1.5
    assert float(weight[middle, middle + 3] / weight[middle, middle]) == pytest.approx(math.exp(-9 / (2 * sigma**2)))


def test_at_full_size_nothing_is_filtered_and_no_buffer_kept() -> None:
    assert anti_alias(3, 1.0).state_dict() == {}
    assert set(anti_alias(3, 0.5).state_dict()) == {"weight"}
