"""Two faces blended: where each appears, that the seam is smooth, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.compositing.two_photos import blend_photos, split_region
from latentface.errors import InputError, UsageError
from latentface.options.photos import BlendOptions
from tests.helpers.cli_desk import face_points

FIRST = face_points() * 80 + (40, 30)
SECOND = face_points() * 40 + (30, 25)
DARK = np.full((140, 160, 3), 60, np.uint8)
LIGHT = np.full((110, 100, 3), 180, np.uint8)


def blended(**options: object) -> np.ndarray:
    region = split_region(FIRST, (140, 160), "right")
    return blend_photos(DARK, LIGHT, (FIRST, SECOND), region, BlendOptions(**options)).astype(int)


def steepest(picture: np.ndarray) -> int:
    return int(np.abs(np.diff(picture[60, 60:100, 0])).max())


def test_the_spline_joins_the_halves_without_a_seam() -> None:
    made = blended()
    assert made[70, 5, 0] < 70 and made[70, 125, 0] > 160
    assert steepest(made) <= 8, "a step of 120 is spread over the width of the face"
    assert steepest(blended(blend="feather", feather=0.0)) == 120
    assert 2 < steepest(blended(blend="feather", feather=0.2)) < 20


def test_poisson_takes_the_first_photos_colour() -> None:
    assert np.abs(blended(blend="poisson") - DARK).max() <= 3


@pytest.mark.parametrize("align", ["similarity", "piecewise"])
def test_the_second_face_lies_over_the_first(align: str) -> None:
    photo = LIGHT.copy()
    x, y = np.rint(SECOND[54]).astype(int)  # a corner of the mouth
    photo[y - 2 : y + 3, x - 2 : x + 3] = (255, 0, 0)
    region = split_region(FIRST, (140, 160), "right")
    options = BlendOptions(blend="feather", feather=0.0, align=align)
    made = blend_photos(DARK, photo, (FIRST, SECOND), region, options).astype(int)
    red = np.argwhere(made[..., 0] - made[..., 1] > 120).mean(0)[::-1]
    assert red == pytest.approx(FIRST[54], abs=1.5)


def test_sides_meet_at_the_nose() -> None:
    size = (140, 160)
    left, right, top, bottom = (split_region(FIRST, size, side) for side in ("left", "right", "top", "bottom"))
    assert left[70, 50] and right[70, 110] and top[40, 80] and bottom[110, 80]
    assert not (left & right).any() and not (top & bottom).any()
    with pytest.raises(UsageError, match="expected left, right, top, bottom"):
        split_region(FIRST, size, "up")


def test_where_the_second_photo_ends_the_first_remains() -> None:
    made = blended(blend="feather", feather=0.0)
    assert (made[:, 155] == 180).all() and (split_region(FIRST, (140, 160), "right")[:, 155]).all()
    narrow = blend_photos(
        DARK, LIGHT[:, :60], (FIRST, SECOND), split_region(FIRST, (140, 160), "right"),
        BlendOptions(blend="feather", feather=0.0),
    )  # fmt: skip
    assert (narrow[:, 110:] == 60).all()


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="as the first photo"):
        blend_photos(DARK, LIGHT, (FIRST, SECOND), np.ones((3, 3), bool))
    region = np.zeros((140, 160), bool)
    with pytest.raises(InputError, match="nothing of the second photo lies in the mask"):
        blend_photos(DARK, LIGHT, (FIRST, SECOND), region)
    with pytest.raises(UsageError, match="feather"):
        BlendOptions(feather=0.5)
