"""The white of eyes that a photo shows too narrow for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.head.eye_contour import Eye, EyeMap
from latentface.head.eyeball import bare, find_eye_white, whiten

UNIT, SKIN = 100.0, np.array([200.0, 160.0, 140.0], np.float32)
AXES = np.array([[UNIT, 0.0], [0.0, -UNIT]])


def eye(gap: float) -> Eye:
    """An eye whose lids are so far apart on average, in inter-ocular distances."""
    corners, iris = np.array([[-0.2, 0.0], [0.2, 0.0]]), np.array([0.0, 0.0, 0.088])
    arc = np.array([0.57 * gap, 0.0])  # the middle of two arcs that are so far apart on average
    return Eye(np.array([50.0, 50.0]), AXES, corners, arc, arc, iris)


def photo(shown: Eye, white: float) -> Pixels:
    """Skin around an eyeball of this light, with a dark iris and dark lashes."""
    y, x = np.mgrid[:100, :100]
    u, v = shown.frame(np.stack([x, y], axis=-1))
    upper, lower = shown.margins(u)
    made = np.broadcast_to(SKIN, (100, 100, 3)).copy()
    made[(v < upper) & (v > lower)] = 30
    top, bottom = bare(shown, u)
    inside = (v < top) & (v > bottom)
    made[inside & (np.hypot(u, v) > shown.iris[2])] = white
    return made.astype(np.uint8)


NONE = np.zeros(4, bool)


def across(was: Eye, now: Eye) -> EyeMap:
    """Places from the middle of an eye that changes to its inner corner."""
    return EyeMap(was, now, np.array([0.0, 0.05, 0.11, 0.19]), np.zeros(4))


def test_a_white_that_is_shown_is_kept_and_goes_on_where_lids_covered_it() -> None:
    narrow = eye(0.1)
    found = find_eye_white(photo(narrow, 190.0), narrow, SKIN, 1.0)
    assert found.missing == 0 and found.tone == pytest.approx(np.full(3, 190.0), abs=25)
    assert not whiten(across(narrow, eye(0.2)), found, NONE).any()
    covered = np.array([True, True, True, False])
    uncovered = whiten(across(narrow, eye(0.2)), found, covered)
    assert uncovered[2] == pytest.approx(found.tone, rel=0.05) and not uncovered[[0, 1, 3]].any()
    assert not whiten(across(narrow, narrow), found, covered).any(), "as long as they cover it"


def test_a_wide_dark_eye_is_as_it_is() -> None:
    assert find_eye_white(photo(eye(0.16), 40.0), eye(0.16), SKIN, 1.0).missing == 0


def test_a_narrow_eye_gets_its_white_as_it_opens() -> None:
    narrow = eye(0.1)
    found = find_eye_white(photo(narrow, 40.0), narrow, SKIN, 1.0)
    assert found.missing == 1 and 0.6 * SKIN.mean() < found.tone.mean() < 1.1 * SKIN.mean()
    shaded = find_eye_white(photo(narrow, 40.0), narrow, SKIN, 0.7)
    np.testing.assert_allclose(shaded.tone, 0.7 * found.tone, rtol=1e-5)
    shut, half, whole = (whiten(across(narrow, eye(gap)), found, NONE) for gap in (0.1, 0.13, 0.2))
    assert not shut.any() and not whole[:2].any(), "the iris is not white"
    assert whole[2] == pytest.approx(found.tone, rel=0.05) and (half[2] < whole[2]).all()
    assert (whole[3] < whole[2]).all(), "it is round"
    turned = replace(eye(0.2), iris=np.array([0.1, 0.0, 0.088]))
    moved = whiten(across(narrow, turned), found, NONE)
    assert moved[2].max() < 1 < moved[0].max(), "and turns with the iris"
