"""Spatially adaptive normalisation."""

from __future__ import annotations

from dataclasses import replace

import torch

from latentface.networks.vid2vid.spade import Spade, SpadeDecoder, SpadeResidual
from tests.helpers.talking_heads import CONFIG


def test_scale_and_shift_follow_the_guide() -> None:
    norm = Spade(2, 3)
    with torch.no_grad():
        for part, value in ((norm.mlp_gamma, 1.0), (norm.mlp_beta, 5.0)):
            part.weight.zero_()
            assert part.bias is not None
            part.bias.fill_(value)
    x = 3 + 2 * torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    made = norm(x, torch.rand(1, 3, 4, 4))
    torch.testing.assert_close(made.mean((2, 3)), torch.full((1, 2), 5.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.std((2, 3), correction=0), torch.full((1, 2), 2.0), atol=1e-3, rtol=0)


def test_shortcuts_are_learnt_where_channels_change() -> None:
    names = {name for name, _ in SpadeResidual(4, 2, 3).named_children()}
    assert names - {name for name, _ in SpadeResidual(4, 4, 3).named_children()} == {"conv_s", "norm_s"}


def test_the_decoder_paints_at_four_times_the_size() -> None:
    decoder = SpadeDecoder(replace(CONFIG, decoder="spade", blend=False))
    made = decoder(torch.randn(2, CONFIG.inner, 4, 4))
    assert made.shape == (2, 3, 16, 16) and bool(((made > 0) & (made < 1)).all())
