"""Lids that hair hides are painted in the colour of skin."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.head.eye_contour import Eye
from latentface.head.lids import FREE, LidSkin, find_grain, find_lid_skin, find_low_brow, paint_lid

SKIN, HAIR = np.array([200, 150, 130], np.uint8), np.array([50, 40, 35], np.uint8)


def eye() -> Eye:
    """An eye of 100 pixels of inter-ocular distance in the middle of a picture of 80 x 80."""
    axes = np.array([[100.0, 0.0], [0.0, -100.0]])
    corners = np.array([[-0.2, 0.0], [0.2, 0.0]])
    lids = np.array([0.1, 0.0]), np.array([0.05, 0.0])
    return Eye(np.array([40.0, 45.0]), axes, corners, *lids, np.array([0, 0.03, 0.09]))


def test_clear_lids_are_not_hairy() -> None:
    skin = find_lid_skin(np.full((80, 80, 3), SKIN), eye(), 0.115, 1.0)
    assert skin.hairy == 0
    assert np.abs(skin.tone - SKIN).max() < 1


def test_a_brow_that_hangs_over_the_lid_is_hair() -> None:
    photo = np.full((80, 80, 3), SKIN)
    photo[:35] = HAIR
    skin = find_lid_skin(photo, eye(), 0.115, 1.0)
    assert skin.hairy > 0.9
    assert 100 < skin.tone.mean() < SKIN.mean()
    assert skin.unlike(HAIR.astype(np.float32)) == pytest.approx(1)
    assert skin.unlike(np.array([250.0, 240, 235], np.float32)) > 0.9, "nor is white skin"
    assert skin.unlike(np.array([250.0, 187, 162], np.float32)) == 0


def test_lids_in_dark_sockets_are_shaded_and_far_ones_left() -> None:
    photo = np.full((80, 80, 3), SKIN)
    photo[:47, :22] = photo[:47, 58:] = SKIN // 2  # beside the corners
    skin = find_lid_skin(photo, eye(), 0.115, 0.7)
    assert 0.6 <= skin.shade < 0.8 and skin.painted == 0
    plain = find_lid_skin(np.full((80, 80, 3), SKIN), eye(), 0.115, 1.0)
    assert plain.shade == 1 and plain.painted == 1


def test_a_dark_strip_is_a_socket_if_it_is_smooth_and_hair_if_not() -> None:
    photo = np.full((80, 80, 3), SKIN)
    photo[:46] = SKIN * 0.6
    socket = find_lid_skin(photo, eye(), 0.115, 1.0)
    assert socket.hairy == 0
    photo[:46, ::3] = HAIR
    brow = find_lid_skin(photo, eye(), 0.115, 1.0)
    assert brow.hairy > 0.9 and brow.tone.mean() > 1.15 * socket.tone.mean()


def test_paint_has_the_light_of_the_nearest_skin_and_the_grain_of_other_skin() -> None:
    moved = np.full((40, 60, 3), SKIN, np.float32) * np.linspace(0.8, 1.2, 60, dtype=np.float32)[:, None]
    truth = moved.copy()
    moved[10:30, 5:55] = HAIR
    strip, weight = np.full((40, 60), 0.3, np.float32), np.zeros((40, 60), np.float32)
    weight[10:30, 5:55] = 1
    skin, grain = LidSkin(SKIN.astype(np.float32), 1.0), np.zeros((40, 60, 3), np.float32)
    grain[20, 30] = 10
    source, none = moved.copy(), np.zeros((40, 60), np.float32)
    paint_lid(moved, source, strip, weight, none, np.ones((40, 60), bool), grain, skin, 100.0)
    assert np.abs(moved[14:26, 10:50] / truth[14:26, 10:50] - 1).max() < 0.12
    assert (moved[20, 30] - moved[19, 30]).min() > 8


def test_grain_is_detail_without_light() -> None:
    photo = np.full((80, 80, 3), SKIN)
    photo[40] -= 10
    photo[:, 40:] = photo[:, 40:] * 0.8
    grain = find_grain(
        photo, np.stack(np.meshgrid(np.arange(20.0, 36), np.arange(30.0, 50)), -1).astype(np.float32), 100
    )
    assert grain[10].max() < -4 and np.abs(grain[:4]).max() < 0.5


def test_hair_is_painted_over_and_skin_is_not() -> None:
    moved = np.full((40, 60, 3), SKIN, np.float32)
    moved[10:30, 20:40] = HAIR
    moved[10:30, 45] *= 0.88  # a wrinkle
    before = moved.copy()
    strip, weight = np.full((40, 60), 0.3, np.float32), np.zeros((40, 60), np.float32)
    weight[10:30, :50] = 1
    bare, grain = weight == 0, np.zeros((40, 60, 3), np.float32)
    skin, smeared = LidSkin(SKIN.astype(np.float32), 0.0), np.zeros((40, 60), np.float32)
    paint_lid(moved, before, strip, weight, smeared, bare, grain, skin, 40.0)
    assert moved[14:26, 24:36].mean() > 0.9 * SKIN.mean(), "hair is gone"
    assert np.abs(moved[10:30, 45:] - before[10:30, 45:]).max() < 1, "skin stays"
    assert np.array_equal(moved[:5], before[:5])
    shadow = moved[14:26, 24:36].mean(axis=(0, 1)) / SKIN
    assert shadow[0] >= shadow[2], "shadows are reddish"
    paint_lid(moved, before, strip, weight, smeared + 1, bare, grain, skin, 40.0)
    assert np.ptp(moved[14:26, 43:47], axis=1).max() < 3, "but not what is drawn out too far"


@pytest.mark.parametrize("height", [0.05, 0.1, 0.15])
def test_a_brow_is_found_where_it_begins(height: float) -> None:
    photo, (middle, _) = np.full((80, 80, 3), SKIN), eye().margins(np.zeros(1))
    photo[34:47] = HAIR  # lashes and eye
    assert find_low_brow(photo, eye()) == FREE
    brow = round(45 - 100 * (float(middle[0]) + height))
    photo[:brow] = 0.9 * SKIN
    assert find_low_brow(photo, eye()) == FREE, "a shadow is no brow"
    photo[:brow] = HAIR
    assert find_low_brow(photo, eye()) == pytest.approx(height, abs=0.025)
