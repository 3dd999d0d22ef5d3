"""Bringing a stylised face to the photo's resolution, and its colours."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.io.images import to_uint8
from latentface.styles.detail import gain, keep_colour, recolour, with_detail
from latentface.styles.losses import LUMA
from tests.helpers.smooth_pictures import smooth_pictures


def pictures() -> list[np.ndarray]:
    return [*to_uint8(0.6 * smooth_pictures(2, 64))]


def test_a_style_that_changes_nothing_gives_the_photo_back() -> None:
    small, _ = pictures()
    photo = np.asarray(small.repeat(2, 0).repeat(2, 1))
    made = with_detail(photo, small, small)
    grey = np.abs((made.astype(float) - photo) @ np.array(LUMA))
    assert np.median(grey) < 3  # flat places get a little less
    assert made.shape == photo.shape
    assert np.array_equal(with_detail(small, small, small), small)


def test_detail_passes_as_the_style_changed_contrast() -> None:
    grey = np.linspace(0.3, 0.7, 64, dtype=np.float32)
    ramp = np.broadcast_to(np.sin(np.arange(64) / 2)[:, None, None] * 0.2 + grey[None, :, None], (64, 64, 3))
    slope = gain(ramp.astype(np.float32), (0.5 * ramp + 0.1).astype(np.float32))
    assert 0.25 < float(np.median(slope)) <= 0.5
    assert float(gain(ramp.astype(np.float32), 1 - ramp.astype(np.float32)).max()) == 0  # never inverted


def test_colours_are_kept_with_the_luma_of_the_style() -> None:
    photo, styled = (each // 2 + 60 for each in pictures())
    made = keep_colour(photo, styled).astype(float)
    assert np.abs((made - styled) @ np.array(LUMA)).max() < 1.5
    own = photo - (photo @ np.array(LUMA))[..., None]
    assert np.abs(made - (made @ np.array(LUMA))[..., None] - own).max() < 2


def test_colours_are_mapped_as_they_changed() -> None:
    photo, _ = pictures()
    after = (photo[..., ::-1] // 2 + 30).astype(np.uint8)
    made = recolour(photo, photo, after)
    assert np.abs(made.astype(int) - after).mean() < 4


def test_other_shapes_are_refused() -> None:
    photo, styled = pictures()
    with pytest.raises(UsageError, match="expected squares"):
        with_detail(photo[:, :32], styled, styled)
    with pytest.raises(UsageError, match="expected squares"):
        with_detail(photo, photo, styled[:32])
