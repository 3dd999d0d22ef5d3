"""The discriminator in feature space."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.training.adversary import ProjectedDiscriminator, augment
from tests.helpers.tiny_portraits import backbone


def test_it_learns_to_tell_two_kinds_of_pictures_apart() -> None:
    adversary, random = ProjectedDiscriminator(backbone()), torch.Generator().manual_seed(0)
    trained = [p for p in adversary.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, 1e-3, betas=(0.0, 0.99))
    frozen = [p.clone() for p in adversary.parameters() if not p.requires_grad]

    def batch() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        rough = torch.rand(6, 3, 128, 128, generator=random) * 2 - 1
        smooth = torch.nn.functional.avg_pool2d(rough, 9, 1, 4) * 3
        return adversary.project(rough), adversary.project(smooth)

    first = float(adversary.hinge(*batch()).detach())
    for _ in range(12):
        loss = adversary.hinge(*batch())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    real, fake = batch()
    assert float(adversary.hinge(real, fake).detach()) < first - 0.1
    assert bool((adversary(real).mean(1).min() > adversary(fake).mean(1).max()).item())
    assert all(
        torch.equal(a, b)
        for a, b in zip(frozen, [p for p in adversary.parameters() if not p.requires_grad], strict=True)
    )
    assert not any("features" in name for name in adversary.state_dict())  # the backbone stays out of checkpoints


def test_gradients_reach_the_pictures_through_augmentation() -> None:
    adversary = ProjectedDiscriminator(backbone())
    pictures = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    changed = augment(pictures * 2 - 1, torch.Generator().manual_seed(2))
    assert changed.shape == pictures.shape and not torch.allclose(changed, pictures * 2 - 1)
    adversary(adversary.project(changed)).mean().backward()
    assert pictures.grad is not None and (pictures.grad.abs().sum((1, 2, 3)) > 0).all()


def test_augmentation_repeats_from_its_seed() -> None:
    pictures = torch.rand(3, 3, 64, 64)
    a, b, c = (augment(pictures, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_it_sees_through_the_built_in_network_as_well_and_no_other() -> None:
    adversary = ProjectedDiscriminator(PerceptualNet(PerceptualConfig((4, 6, 8, 8, 8), (1,) * 5)), width=8)
    with torch.no_grad():
        pictures = torch.zeros(2, 3, 64, 64)
        assert [each.shape[-1] for each in adversary.project(pictures)] == [32, 16, 8, 4]
        assert adversary(adversary.project(pictures)).shape == (2, 4)
    with pytest.raises(UsageError, match="no discriminator on PerceptualNet"):
        ProjectedDiscriminator(PerceptualNet(PerceptualConfig((4, 4), (1, 1))))
