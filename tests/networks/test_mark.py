"""The networks of the mark, untrained: what they promise by construction."""

from __future__ import annotations

import math

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.mark import BITS, SIDE, MarkConfig, texture, window
from tests.provenance.marked import untrained


def faces(count: int = 2) -> torch.Tensor:
    source = torch.Generator().manual_seed(1)
    return 128 + 20 * torch.randn(count, 1, SIDE, SIDE, generator=source)


def test_the_mark_has_the_given_psnr_and_stays_in_the_mask() -> None:
    networks, light = untrained(), faces()
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[..., 40:100, 30:90] = 1
    bits = torch.randint(0, 2, (2, BITS), generator=torch.Generator().manual_seed(2)).float()
    found = networks(light, mask, bits)
    assert bool((found[mask == 0] == 0).all())
    power = float((found.square() * mask).sum() / mask.sum())
    assert 10 * math.log10(255**2 / power) == pytest.approx(networks.config.psnr, abs=0.01)


def test_an_untrained_reader_reads_most_bits_of_a_smooth_face() -> None:
    networks, light = untrained(), torch.full((2, 1, SIDE, SIDE), 128.0)
    bits = torch.randint(0, 2, (2, BITS), generator=torch.Generator().manual_seed(2)).float()
    odds = networks.reader(light + networks(light, torch.ones_like(light), bits))
    assert float(((odds > 0) == (bits > 0.5)).float().mean()) > 0.9


def test_flat_skin_gets_less_than_texture() -> None:
    light = faces(1)
    light[..., :64] = 128
    networks = untrained()
    found = networks(light, torch.ones_like(light), torch.ones(1, BITS)).abs()
    assert float(window(found)[..., 60:].mean()) > 2 * float(window(found)[..., :40].mean())


def test_texture_of_a_flat_picture_is_none_and_has_a_gradient() -> None:
    light = torch.full((1, 1, SIDE, SIDE), 50.0, requires_grad=True)
    detail, deviation = texture(light)
    deviation.sum().backward()
    assert float(detail.detach().abs().max()) < 1e-3 and light.grad is not None and bool(light.grad.isfinite().all())


def test_other_sizes_and_strengths_are_refused() -> None:
    with pytest.raises(UsageError, match="expected brightness"):
        untrained().reader(torch.zeros(1, 1, 64, 64))
    for wrong in ({"width": 0}, {"floor": 0.0}, {"ceiling": 0.5}, {"psnr": 0.0}):
        with pytest.raises(UsageError):
            MarkConfig(**wrong)
