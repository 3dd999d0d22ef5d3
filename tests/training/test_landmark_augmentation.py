"""Augmentation keeps the points on their features, follows its generator and leaves its inputs alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentface.faces.crop import MIRROR
from latentface.networks.landmarks import LandmarkConfig
from latentface.training import landmark_augmentation as changes
from latentface.training.landmark_augmentation import AugmentOptions, augment, brow_shift, frame, mirror
from tests.helpers.drawn_faces import centres, draw_face, mean_shape, spots

SMALL = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)


def test_points_follow_framing(monkeypatch):
    rng = np.random.default_rng(1)
    points = torch.from_numpy(np.stack([draw_face(rng)[1] for _ in range(12)]).astype(np.float32))
    config = replace(SMALL, input_size=96)
    monkeypatch.setattr(torch, "randint", lambda *given, **named: torch.tensor([2]))  # nothing outside the picture
    generator = torch.Generator().manual_seed(0)
    pictures, moved = frame(spots(points), points, config, AugmentOptions(), generator)
    assert pictures.shape == (12, 3, 96, 96)
    gap = (centres(pictures) - moved[:, [30, 48, 54]]).norm(dim=2) * 96
    assert gap.max() < 0.6
    spread = moved[:, 30].std(0)
    assert (spread > 0.01).all()  # it did move


def test_points_follow_mirroring():
    rng = np.random.default_rng(2)
    points = torch.from_numpy(np.stack([draw_face(rng)[1] for _ in range(16)]).astype(np.float32))
    units = (points + 0.5) / 128
    pictures, moved = mirror(spots(points), units, torch.Generator().manual_seed(0))
    flipped = (moved[:, 0, 0] != units[:, 0, 0]).nonzero()[:, 0]
    kept = (moved[:, 0, 0] == units[:, 0, 0]).nonzero()[:, 0]
    assert len(flipped) > 3 and len(kept) > 3
    torch.testing.assert_close(centres(pictures)[kept], moved[kept][:, [30, 48, 54]], atol=1e-3, rtol=0)
    # the spot at the left mouth corner is at the right one after mirroring
    torch.testing.assert_close(centres(pictures)[flipped], moved[flipped][:, [30, 54, 48]], atol=1e-3, rtol=0)
    assert MIRROR[48] == 54


def test_brows_rise_and_eyes_stay():
    points = torch.from_numpy((mean_shape() * 32 + [63.5, 58]) / 128).float()[None]
    lift = torch.tensor([0.03])
    shift = brow_shift(points, points, lift)
    assert shift[0, 36:].abs().max() < 5e-4 and shift[0, :3].abs().max() < 1e-6
    assert (shift[0, 18:26, 1] > 0.02).all() and shift[0, :, 0].abs().max() < 1e-6


@pytest.mark.parametrize(
    "change",
    [
        lambda x, g: changes.shade(x, g),
        lambda x, g: changes.recolour(x, 0.5, g),
        lambda x, g: changes.soften(x, 1.0, g),
        lambda x, g: changes.compress(x, 1.0, g),
        lambda x, g: changes.add_noise(x, g),
        lambda x, g: changes.occlude(x, 1.0, g),
        lambda x, g: changes.replace_background(x, torch.zeros(len(x), 1, 32, 32), 1.0, g),
    ],
    ids=["shade", "recolour", "soften", "compress", "add_noise", "occlude", "replace_background"],
)
def test_changes_keep_the_form_and_follow_the_generator(change):
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    before = images.clone()
    results = [change(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert results[0].shape == images.shape and torch.isfinite(results[0]).all()
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert torch.equal(images, before)  # inputs stay as they are


def test_shares_of_none_change_nothing(drawn_data):
    generator = torch.Generator().manual_seed(0)
    images = drawn_data.images[:4].float() / 255
    for change in (changes.occlude, changes.soften, changes.compress):
        assert torch.equal(change(images, 0.0, generator), images)
    assert torch.equal(changes.add_glasses(images, drawn_data.points[:4], 0.0, generator), images)
    assert torch.equal(changes.replace_background(images, torch.zeros(4, 1, 128, 128), 0.0, generator), images)


def test_background_keeps_the_head(drawn_data):
    images = drawn_data.images[:8].float() / 255
    mask = torch.zeros(8, 1, 128, 128)
    mask[..., 30:100, 30:100] = 1
    result = changes.replace_background(images, mask, 1.0, torch.Generator().manual_seed(0))
    head = mask.expand_as(images) == 1
    assert torch.equal(result[head], images[head])
    assert (result - images)[~head].abs().mean() > 0.05


def test_glasses_lie_around_the_eyes(drawn_data):
    images = drawn_data.images[:16].float() / 255
    result = changes.add_glasses(images, drawn_data.points[:16], 1.0, torch.Generator().manual_seed(0))
    changed = (result - images).abs().amax(1) > 0.02
    assert (changed.flatten(1).float().mean(1) > 0.005).all()
    rows = torch.arange(128)[None, :, None].expand_as(changed)
    eye_rows = drawn_data.points[:16, 36:48, 1].mean(1)
    assert (rows[changed] - eye_rows.repeat_interleave(changed.flatten(1).sum(1))).abs().max() < 32


def test_augmented_pictures_are_ready_for_the_network(drawn_data):
    pictures, points = augment(
        drawn_data.images[:8],
        drawn_data.points[:8],
        drawn_data.masks[:8] / 255,
        SMALL,
        AugmentOptions(),
        torch.Generator().manual_seed(0),
    )
    assert pictures.shape == (8, 3, 32, 32) and pictures.min() >= -1 and pictures.max() <= 1
    assert points.shape == (8, 68, 2)
    assert ((points[:, 17:] > 0) & (points[:, 17:] < 1)).float().mean() > 0.97
