"""Attacks on marked pictures: they change what they should, and let the gradient pass."""

from __future__ import annotations

import pytest
import torch

from latentface.training import mark_attacks


def pictures(count: int = 2, side: int = 64) -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 9, 9, generator=source) * 200 + 20
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 255).round()


@pytest.mark.parametrize("attack", [attack for attack, _ in mark_attacks.ATTACKS])
def test_an_attack_changes_little_and_can_be_differentiated(attack: mark_attacks.Attack) -> None:
    images = pictures().requires_grad_()
    seen = attack(images, torch.Generator().manual_seed(3))
    seen.sum().backward()
    assert images.grad is not None and float(images.grad.abs().sum()) > 0
    back = mark_attacks.resized(seen, 64)
    assert float((back - images).detach().abs().mean()) < 25
    repeated = attack(images, torch.Generator().manual_seed(3))
    assert torch.equal(seen, repeated)


def test_compression_is_the_real_one() -> None:
    images = pictures()
    rough, fine = (float((mark_attacks.as_jpeg(images, q) - images).abs().mean()) for q in (10, 95))
    assert rough > fine > 0
    coarse, good = (float((mark_attacks.as_h264(images, crf) - images).abs().mean()) for crf in (40, 5))
    assert coarse > good and good < 3


def test_a_face_that_is_found_again_is_a_little_off() -> None:
    images = pictures()
    assert torch.allclose(mark_attacks.realigned(images, 64, torch.Generator(), 0.0), images, atol=1e-2)
    off = mark_attacks.realigned(images, 64, torch.Generator().manual_seed(0))
    assert 0 < float((off - images).abs().mean()) < 10


def test_choices_follow_their_shares() -> None:
    source = torch.Generator().manual_seed(0)
    chosen = [mark_attacks.choose(source) for _ in range(300)]
    assert sum(share for _, share in mark_attacks.ATTACKS) == pytest.approx(1)
    assert 60 < chosen.count(mark_attacks.jpeg) < 140
