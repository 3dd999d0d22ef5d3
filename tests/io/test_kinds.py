"""What a file is: its content says so, whatever it is called."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.errors import InputError
from latentface.io.images import list_photos, read_image
from latentface.io.kinds import picture_kind, picture_kind_of
from latentface.io.video import read_clip, write_clip
from latentface.io.video_reader import is_animation
from tests.helpers.films import moving

PICTURE = Image.fromarray(np.full((16, 24, 3), (200, 120, 40), np.uint8))


def encoded(kind: str, **options: object) -> bytes:
    file = BytesIO()
    PICTURE.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_kinds_of_pictures(kind: str) -> None:
    assert picture_kind(encoded(kind)[:32]) == kind


def test_brands_of_heif_files() -> None:
    assert picture_kind(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(8)) == "HEIC"
    assert picture_kind(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(4)) == "AVIF"
    assert picture_kind(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + bytes(8)) is None


@pytest.mark.parametrize("content", [b"", b"BMW and other cars", b"GIF", b"hello", b"RIFF\0\0\0\0AVI LIST"])
def test_other_content_is_no_picture(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert picture_kind_of(tmp_path / "a.jpg") is None
    assert picture_kind_of(tmp_path) is None and picture_kind_of(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.mpo", "upload_abc", "a.jpg.1", "wrong.txt", "wrong.mp4"])
def test_a_photo_is_one_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(encoded("JPEG"))
    assert read_image(tmp_path / name).shape == (16, 24, 3)
    assert [path.name for path in list_photos(tmp_path)] == [name]
    with pytest.raises(InputError, match="a still picture, not a clip"):
        read_clip(tmp_path / name)


def test_photos_of_two_views(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.mpo", save_all=True, append_images=[PICTURE])
    assert read_image(tmp_path / "a.mpo").shape == (16, 24, 3)
    assert not is_animation(tmp_path / "a.mpo")


def test_photos_as_avif(tmp_path: Path) -> None:
    (tmp_path / "a.avif").write_bytes(encoded("AVIF", quality=95))
    assert np.abs(read_image(tmp_path / "a.avif").astype(int) - [200, 120, 40]).max() <= 6


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_clip_is_one_whatever_it_is_called(suffix: str, tmp_path: Path) -> None:
    write_clip(tmp_path / f"a{suffix}", moving(4))
    shutil.move(tmp_path / f"a{suffix}", tmp_path / "download")
    assert is_animation(tmp_path / "download")
    assert sum(1 for _ in read_clip(tmp_path / "download")) == 4


def test_a_film_called_a_picture(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(4))
    shutil.move(tmp_path / "a.mp4", tmp_path / "meme.gif")
    assert sum(1 for _ in read_clip(tmp_path / "meme.gif")) == 4


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_a_still_picture_of_a_kind_that_can_move(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(encoded(kind))
    assert not is_animation(tmp_path / "a")
