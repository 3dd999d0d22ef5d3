"""Blocks of IPTC data: through files that have a place for them, and told where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from latentface.io.images import Photo, lost_metadata, read_photo, write_photo
from latentface.io.iptc import PNG_KEY, jpeg_segment, png_text, read_iptc

BLOCK = b"\x1c\x02\x78\x00\x07caption\x1c\x02\x50\x00\x04anna"


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("block", [BLOCK, BLOCK + b"s"])
def test_a_block_goes_through_a_file(name: str, block: bytes, tmp_path: Path) -> None:
    write_photo(tmp_path / name, Photo(np.zeros((8, 8, 3), np.uint8), iptc=block))
    assert read_photo(tmp_path / name).iptc == block


def test_a_webp_has_no_place_for_it(tmp_path: Path) -> None:
    photo = Photo(np.zeros((8, 8, 3), np.uint8), iptc=BLOCK)
    assert any("IPTC" in note for note in lost_metadata(tmp_path / "a.webp", photo))
    assert not lost_metadata(tmp_path / "a.jpg", photo)
    assert jpeg_segment(b"\x1c" * 70_000) == b""


def test_the_block_within_photoshops_resources_of_a_png_is_found(tmp_path: Path) -> None:
    resources = jpeg_segment(BLOCK)[4:]
    for key, text, found in ((PNG_KEY, png_text(resources), BLOCK), (PNG_KEY, "\niptc\n 4\nzz\n", None)):
        info = PngImagePlugin.PngInfo()
        info.add_text(key, text)
        Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
        with Image.open(tmp_path / "a.png") as image:
            image.load()
            assert read_iptc(image) == found
