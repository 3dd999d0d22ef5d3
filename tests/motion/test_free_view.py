"""Heads transferred to other heads, and seen from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from latentface.errors import UsageError
from latentface.motion.free_view import NECK, FreeViewRetargeting, HeadFilter
from latentface.networks.vid2vid.geometry import transform
from latentface.options.clips import AnimateOptions, ViewOptions
from tests.helpers.talking_heads import heads

OPTIONS = AnimateOptions(engine="vid2vid")
SOURCE, REFERENCE, DRIVING = (heads(1, seed=seed) for seed in (1, 2, 3))


def test_the_reference_leaves_the_source_as_it_is() -> None:
    moved = FreeViewRetargeting(SOURCE, REFERENCE, OPTIONS)(REFERENCE)
    torch.testing.assert_close(moved.value, SOURCE.value)


def test_changes_of_the_driver_are_added_and_the_person_stays() -> None:
    moved = FreeViewRetargeting(SOURCE, REFERENCE, OPTIONS)(DRIVING)
    torch.testing.assert_close(moved.canonical, SOURCE.canonical)
    torch.testing.assert_close(moved.angles, SOURCE.angles + DRIVING.angles - REFERENCE.angles)
    ratio = SOURCE.scale / REFERENCE.scale
    torch.testing.assert_close(moved.scale, DRIVING.scale * ratio)
    shift = moved.translation - SOURCE.translation
    torch.testing.assert_close(shift, (DRIVING.translation - REFERENCE.translation) * ratio)
    plain = FreeViewRetargeting(SOURCE, REFERENCE, replace(OPTIONS, adapt_scale=False))(DRIVING)
    torch.testing.assert_close(plain.translation - SOURCE.translation, DRIVING.translation - REFERENCE.translation)


def test_absolute_motion_is_that_of_the_driver() -> None:
    moved = FreeViewRetargeting(SOURCE, REFERENCE, replace(OPTIONS, mode="absolute"))(DRIVING)
    torch.testing.assert_close(moved.canonical, SOURCE.canonical)
    for name in ("angles", "scale", "translation", "deformation"):
        torch.testing.assert_close(getattr(moved, name), getattr(DRIVING, name))


def test_a_view_holds_the_head_or_adds_to_its_movement() -> None:
    free = FreeViewRetargeting(SOURCE, REFERENCE, OPTIONS)(DRIVING)
    held = FreeViewRetargeting(SOURCE, REFERENCE, replace(OPTIONS, yaw=25.0, roll=0.0))(DRIVING)
    assert held.angles[0].tolist() == pytest.approx([25.0, float(free.angles[0, 1]), 0.0])
    added = FreeViewRetargeting(SOURCE, REFERENCE, replace(OPTIONS, yaw=25.0, view="add"))(DRIVING)
    assert float(added.angles[0, 0] - free.angles[0, 0]) == pytest.approx(25.0)
    neck = torch.tensor([[NECK]])
    places = [transform(head.frame, neck)[..., :2] + head.translation[:, None, :2] for head in (free, held)]
    torch.testing.assert_close(*places)  # the neck stays where it is
    loose = FreeViewRetargeting(heads(1, rigid=False), heads(1, rigid=False), replace(OPTIONS, yaw=25.0))
    assert loose(heads(1, rigid=False)).translation.equal(heads(1).translation)


def test_options_of_the_view_belong_to_this_engine() -> None:
    with pytest.raises(UsageError, match=r"yaw.* has no effect with engine='head'.*engine='vid2vid'"):
        AnimateOptions(yaw=10.0)
    for options in (lambda: AnimateOptions(engine="vid2vid", view="add"), lambda: ViewOptions(view="add")):
        with pytest.raises(UsageError, match="view='add' has no effect without yaw, pitch or roll"):
            options()
    with pytest.raises(UsageError, match="yaw"):
        ViewOptions(yaw=61.0)


def test_the_filter_steadies_every_part() -> None:
    smooth = HeadFilter(0.8)
    assert smooth(REFERENCE, Fraction(0)).value.equal(REFERENCE.value)
    noise = 0.01 * torch.randn(REFERENCE.deformation.shape, generator=torch.Generator().manual_seed(0))
    shaken = replace(REFERENCE, deformation=REFERENCE.deformation + noise, angles=REFERENCE.angles + 0.5)
    after = smooth(shaken, Fraction(1, 25))
    assert (after.deformation - REFERENCE.deformation).norm() < 0.5 * noise.norm()
    assert 0 < float((after.angles - REFERENCE.angles).mean()) < 0.25
    torch.testing.assert_close(after.canonical, REFERENCE.canonical)
