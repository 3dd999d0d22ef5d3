"""Guides: regions by landmarks, and regions that were painted."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.completion.guides import COLOURS, no_guide, read_guide, region_planes
from latentface.errors import InputError
from latentface.faces.alignment import crop_face
from latentface.networks.completion import FOLD, REGIONS, Region
from tests.helpers.portrait_folder import places

SIDE = 128


def test_regions_lie_where_the_landmarks_are() -> None:
    planes = region_planes(places(), SIDE)
    assert planes.shape == (REGIONS, SIDE // FOLD, SIDE // FOLD) == no_guide(SIDE).shape
    assert set(np.unique(planes)) == {0.0, 1.0}
    for part, region in ((slice(36, 42), Region.EYES), (slice(48, 60), Region.LIPS), (slice(17, 22), Region.BROWS)):
        rows, columns = np.nonzero(planes[region])
        x, y = (places()[part] / FOLD).mean(axis=0)
        assert np.hypot(columns - x, rows - y).min() < 3
    assert planes[Region.FACE].sum() > 5 * planes[Region.LIPS].sum()


def test_what_is_painted_takes_the_place_of_its_region_alone() -> None:
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    crop = crop_face(photo, places(), SIDE)
    painted = photo.copy()
    painted[100:116, 40:80] = COLOURS[Region.LIPS]
    made, plain = read_guide(painted, (SIDE, SIDE), crop), region_planes(crop.crop_landmarks, SIDE)
    assert made[Region.LIPS].any() and not np.array_equal(made[Region.LIPS], plain[Region.LIPS])
    assert np.array_equal(made[Region.EYES], plain[Region.EYES])
    assert plain[Region.MOUTH].any() and not made[Region.MOUTH].any()  # lips alone are closed
    with pytest.raises(InputError, match="nothing is painted"):
        read_guide(photo, (SIDE, SIDE), crop)
    with pytest.raises(InputError, match="9 x 9 pixels"):
        read_guide(np.zeros((9, 9, 3), np.uint8), (SIDE, SIDE), crop)
