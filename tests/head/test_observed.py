"""What a photo shows of a head is measured once, and in a clip handed on from frame to frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.head.observed import ObservedHead
from latentface.head.tint import NEUTRAL
from tests.helpers.head_picture import model, picture


@pytest.fixture(scope="module")
def head() -> ObservedHead:
    return ObservedHead(picture().photo, model(), picture().before)


def test_open_eyes_without_spectacles_are_seen(head: ObservedHead) -> None:
    assert not head.has_shut_eyes and not head.has_dark_glasses
    assert head.spectacles is None and head.occluders is None and head.background is None
    assert head.behind is head.photo


def test_a_photo_without_colour_is_told(head: ObservedHead) -> None:
    grey = np.repeat(head.photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert head.tint is None and ObservedHead(grey, model(), picture().before).tint is NEUTRAL


def test_a_clip_hands_on_what_keeps(head: ObservedHead) -> None:
    darker = (0.8 * head.photo).astype(np.uint8)
    later = ObservedHead(darker, model(), picture().before, steady=head.steady)
    assert later.light is head.light and later.tones is head.tones and later.lid_skin is head.lid_skin
    assert not later.has_shut_eyes


def test_shut_eyes_in_a_clip_follow_the_head(head: ObservedHead) -> None:
    steady = replace(head.steady, shut=True)
    away = picture().before + np.array([3, 2, 0], np.float32)
    later = ObservedHead(np.zeros_like(head.photo), model(), away, steady=steady)
    assert later.has_shut_eyes
    for eye, was in zip(later.eyes, head.eyes, strict=True):
        assert np.allclose(eye.origin - was.origin, [3, 2], atol=1e-3)


def test_a_photo_of_another_type_is_refused() -> None:
    with pytest.raises(UsageError, match="uint8"):
        ObservedHead(picture().photo.astype(np.float32), model(), picture().before)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="model"):
        ObservedHead(picture().photo, model(), picture().before[:-1])
