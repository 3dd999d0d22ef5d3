"""A fault of the metadata never costs a picture: broken, foreign and huge blocks, read and written."""

from __future__ import annotations

import os
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from latentface.io.images import Photo, lost_metadata, read_photo, write_photo
from latentface.io.metadata import JPEG_SEGMENT, LEFT_OUT, without_metadata

PIXELS = np.full((16, 24, 3), (200, 120, 40), np.uint8)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Corrupt EXIF:UserWarning",
    "ignore:Possibly corrupt:UserWarning",
    "ignore:Metadata Warning:UserWarning",
    "ignore:Tag data larger:UserWarning",
)


def jpeg() -> bytes:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=95)
    return file.getvalue()


def with_exif(block: bytes) -> bytes:
    plain = jpeg()
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + plain[2:]


def one_tag(tag: int, kind: int, count: int, value: bytes) -> bytes:
    entry = struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0"


@pytest.mark.parametrize(
    "block",
    [
        b"II*\0",  # cut off
        bytes(range(1, 65)),
        one_tag(0x011A, 2, 3, b"72"),  # text for a resolution
        one_tag(0x0100, 11, 1, struct.pack("<f", 3.5)),  # a float for an integer
        one_tag(0x0112, 2, 2, b"6"),  # text for the orientation
        one_tag(0x0112, 3, 2, struct.pack("<HH", 6, 6)),  # two orientations
        one_tag(0x0112, 3, 1, struct.pack("<H", 99)),
        one_tag(0x8769, 4, 1, struct.pack("<I", 1 << 30)),  # a directory outside the file
        one_tag(0x010F, 2, 1 << 30, struct.pack("<I", 4)),
        b"II*\0\x08\0\0\0\xff\xff",
    ],
)
@pytest.mark.filterwarnings("ignore:Truncated File Read")  # some releases of Pillow warn of it
def test_a_broken_exif_block_leaves_the_picture(block: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_exif(block))
    photo = read_photo(tmp_path / "a.jpg")
    assert np.abs(photo.rgb.reshape(-1, 3).astype(int) - PIXELS[0, 0]).max() <= 4
    for name in ("b.jpg", "b.png", "b.webp"):
        write_photo(tmp_path / name, photo)
        assert read_photo(tmp_path / name).rgb.shape == photo.rgb.shape


@pytest.mark.parametrize("block", [one_tag(0x011A, 2, 3, b"72"), one_tag(0x0100, 11, 1, struct.pack("<f", 3.5))])
def test_what_is_left_out_is_said(block: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_exif(block))
    assert read_photo(tmp_path / "a.jpg").notes == (LEFT_OUT,)


def test_sound_metadata_are_kept_without_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_exif(one_tag(0x0131, 2, 4, b"abc\0")))
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.notes == () and photo.exif is not None and b"abc" in photo.exif


def test_a_sound_tag_outlives_a_broken_one(tmp_path: Path) -> None:
    tags = struct.pack("<HHIf", 0x0100, 11, 1, 3.5) + struct.pack("<HHI", 0x010F, 2, 4) + b"Cam\0"
    (tmp_path / "a.jpg").write_bytes(with_exif(b"II*\0\x08\0\0\0\x02\0" + tags + b"\0\0\0\0"))
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.notes == (LEFT_OUT,) and photo.exif is not None and b"Cam" in photo.exif


def test_a_png_with_more_text_or_profile_than_a_decoder_takes(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 3_000_000, zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "text.png", pnginfo=text)
    Image.fromarray(PIXELS).save(tmp_path / "icc.png", icc_profile=os.urandom(64) * 40_000)
    for name in ("text.png", "icc.png"):
        photo = read_photo(tmp_path / name)
        np.testing.assert_array_equal(photo.rgb, PIXELS)
        assert photo.notes == (LEFT_OUT,) and photo.icc is None


def test_only_metadata_are_taken_away() -> None:
    profiled = BytesIO()
    Image.fromarray(PIXELS).save(profiled, "JPEG", icc_profile=b"p" * 100, comment="hello", exif=b"Exif\0\0II*\0")
    first, second = without_metadata(profiled.getvalue())
    assert b"ICC_PROFILE" in first.getvalue() and b"hello" not in first.getvalue()
    assert b"ICC_PROFILE" not in second.getvalue()
    for plain in (first, second):
        assert Image.open(plain).size == (24, 16)
    assert list(without_metadata(b"no picture")) == []
    assert list(without_metadata(jpeg()[:30])) == []


def test_more_exif_than_a_jpeg_holds_is_told_and_left_out(tmp_path: Path) -> None:
    block = Image.Exif()
    block[0x010F], block[0x0110] = "w" * 100_000, "Model"
    photo = Photo(PIXELS, exif=block.tobytes())
    (told,) = lost_metadata(tmp_path / "a.jpg", photo)
    assert str(JPEG_SEGMENT) in told
    assert lost_metadata(tmp_path / "a.png", photo) == () == lost_metadata(tmp_path / "a.webp", photo)
    with pytest.warns(UserWarning, match=r"a\.jpg: a JPEG holds"):
        write_photo(tmp_path / "a.jpg", photo)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[0x0110] == "Model" and 0x010F not in image.getexif()
        assert image.getexif()[0x0131].startswith("latentface")
    write_photo(tmp_path / "a.webp", photo)
    assert read_photo(tmp_path / "a.webp").exif is not None


def test_a_maker_note_is_the_last_to_go(tmp_path: Path) -> None:
    block = Image.Exif()
    block[0x0110] = "Model"
    block.get_ifd(0x8769)[0x927C] = bytes(90_000)
    with pytest.warns(UserWarning, match="the largest values are left out"):
        write_photo(tmp_path / "a.jpg", Photo(PIXELS, exif=block.tobytes()))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[0x0110] == "Model"


def test_a_tiff_keeps_how_it_was_stored_and_a_programs_settings_to_itself(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x010F] = "Camera"
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", exif=tags, tiffinfo={34377: os.urandom(100_000)})
    photo = read_photo(tmp_path / "a.tif")
    block = Image.Exif()
    block.load(photo.exif or b"")
    assert 0x0100 not in block and 0x0111 not in block
    with pytest.warns(UserWarning, match="the largest values are left out"):
        write_photo(tmp_path / "a.jpg", photo)


def test_exif_that_is_none_leaves_the_picture_to_be_written(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="cannot be read"):
        write_photo(
            tmp_path / "a.jpg", Photo(PIXELS, exif=b"Exif\0\0" + one_tag(0x0100, 11, 1, struct.pack("<f", 3.5)))
        )
    assert read_photo(tmp_path / "a.jpg").rgb.shape == PIXELS.shape
