"""Colours by their profiles: into sRGB where a clip is made, untouched where a photo stays one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from latentface.arrays import Pixels
from latentface.io.clip import Clip
from latentface.io.colour import UNREADABLE, convert, srgb
from latentface.io.images import Photo, read_photo, write_photo
from latentface.io.video import read_clip, write_clip
from tests.helpers.profiles import encode, grey_profile, rgb_profile, to_linear


def colours() -> Pixels:
    """Skin, hair, cloth and sky in sRGB: every hue at moderate strength, uint8 [32, 48, 3]."""
    y, x = np.mgrid[:32, :48]
    hue, light = x / 48 * 2 * np.pi, 0.35 + 0.5 * y / 32
    planes = [light + 0.13 * np.cos(hue + shift) for shift in (0, 2.1, 4.2)]
    return np.rint(np.clip(np.stack(planes, -1), 0, 1) * 255).astype(np.uint8)


def difference(one: Pixels, other: Pixels) -> float:
    """Mean CIEDE2000."""
    return float(deltaE_ciede2000(rgb2lab(one), rgb2lab(other)).mean())


def stored(space: str) -> Pixels:
    """The same colours as a photo of that space stores them."""
    return np.rint(encode(to_linear(colours() / 255.0), space) * 255).astype(np.uint8)


@pytest.mark.parametrize("space", ["adobe", "prophoto", "p3"])
def test_a_wide_photo_has_its_true_colours_in_srgb(space: str) -> None:
    photo = Photo(stored(space), icc=rgb_profile(space))
    assert difference(photo.rgb, colours()) > 1.8, "shown without its profile it looks wrong"
    made = srgb(photo)
    assert made.icc is None and made.notes == ()
    assert difference(made.rgb, colours()) < 0.6


@pytest.mark.parametrize("space", ["adobe", "prophoto", "p3"])
def test_what_is_in_srgb_goes_into_a_photo_in_its_own_colours(space: str) -> None:
    icc = rgb_profile(space)
    made = convert(colours(), None, icc)
    assert np.abs(made.astype(int) - stored(space)).max() <= 2
    assert difference(convert(made, icc), colours()) < 0.6
    other = convert(stored("adobe"), rgb_profile("adobe"), icc)
    assert np.abs(other.astype(int) - stored(space)).max() <= 3


def test_nothing_is_done_between_profiles_that_are_alike() -> None:
    pixels = colours()
    pairs = [(None, None), (None, rgb_profile("srgb")), (b"nothing", None), (rgb_profile("p3"), rgb_profile("p3"))]
    assert all(convert(pixels, *pair) is pixels for pair in pairs)


def test_a_photo_in_srgb_keeps_its_pixels() -> None:
    photo = Photo(colours(), icc=rgb_profile("srgb"))
    assert srgb(photo).rgb is photo.rgb and srgb(photo).icc is None
    plain = Photo(colours())
    assert srgb(plain) is plain


@pytest.mark.parametrize("icc", [b"a profile", rgb_profile("adobe")[:200], grey_profile(2.2)])
def test_a_profile_that_cannot_be_read_is_told(icc: bytes) -> None:
    made = srgb(Photo(colours(), icc=icc))
    np.testing.assert_array_equal(made.rgb, colours())
    assert made.icc is None and made.notes == (UNREADABLE,)


def test_a_photo_that_stays_one_keeps_pixels_and_profile(tmp_path: Path) -> None:
    Image.fromarray(stored("adobe")).save(tmp_path / "a.png", icc_profile=rgb_profile("adobe"))
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.rgb, stored("adobe"))
    write_photo(tmp_path / "b.png", photo)
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["icc_profile"] == rgb_profile("adobe")


def test_a_grey_photo_is_read_by_its_profile_and_stays_grey(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8)[None].repeat(4, 0)
    Image.fromarray(levels).save(tmp_path / "a.png", icc_profile=grey_profile(1.8))
    rgb = read_photo(tmp_path / "a.png").rgb
    assert np.ptp(rgb.astype(int), axis=2).max() == 0
    light = (levels[0] / 255.0) ** 1.8
    shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(rgb[0, :, 0] - shown).max() <= 1.5


def test_a_grey_photo_with_a_broken_profile_is_read(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8)[None].repeat(4, 0)
    Image.fromarray(levels).save(tmp_path / "a.png", icc_profile=b"nothing")
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.rgb[..., 0], levels)
    assert photo.notes == (UNREADABLE,)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_a_clip_has_the_colours_it_was_given(name: str, tmp_path: Path) -> None:
    pixels = colours().repeat(4, 0).repeat(4, 1)
    write_clip(tmp_path / name, Clip.of([pixels] * 3, 25, (192, 128)))
    assert difference(next(iter(read_clip(tmp_path / name))).pixels, pixels) < 1.6
