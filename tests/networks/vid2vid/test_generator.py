"""The generator of free-view models."""

from __future__ import annotations

from dataclasses import replace

import torch

from latentface.networks.vid2vid.generator import FreeViewGenerator
from tests.helpers.talking_heads import CONFIG, heads

PICTURE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_source_is_encoded_once() -> None:
    generator = FreeViewGenerator(CONFIG).eval()
    source = generator.encode(PICTURE)
    assert source.volume.shape == (1, 2, 3, 8, 8)
    drawn = generator(source.expand(2), heads(1).expand(2), heads(2))
    assert drawn.painted.shape == (2, 3, 32, 32) and drawn.share is not None
    assert drawn.motion.mask.shape == (2, 5, 8, 8) and drawn.motion.field.shape == (2, 8, 8, 2)
    assert generator.deform(PICTURE.expand(2, -1, -1, -1), drawn).shape == (2, 3, 32, 32)


def test_a_network_that_does_not_blend_paints_everything() -> None:
    generator = FreeViewGenerator(replace(CONFIG, blend=False)).eval()
    drawn = generator(generator.encode(PICTURE), heads(1), heads(1))
    assert drawn.share is None
    torch.testing.assert_close(generator.compose(PICTURE, drawn), drawn.painted)
    for decoder in ("spade", "residual"):
        other = FreeViewGenerator(replace(CONFIG, blend=False, decoder=decoder)).eval()
        made = other(other.encode(PICTURE), heads(1), heads(1)).painted
        assert made.shape == PICTURE.shape and (other.decoder is None) == (decoder == "residual")


def test_what_the_source_does_not_show_is_painted_from_nothing() -> None:
    generator = FreeViewGenerator(CONFIG).eval()
    layer = generator.dense_motion_network.occlusion
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(-100.0)
        hidden = [generator(generator.encode(p), heads(1), heads(1)).painted for p in (PICTURE, PICTURE.flip(3))]
    torch.testing.assert_close(*hidden)
