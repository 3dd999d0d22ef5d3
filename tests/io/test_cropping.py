"""What a container cuts off: the clean aperture of MP4, Matroska's PixelCrop, and headers that make no sense."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latentface.io.cropping import Margins, margins_of
from latentface.io.video import read_clip
from tests.helpers.films import film, picture

BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v")


def with_aperture(path: Path, *fractions: int) -> Path:
    """The MP4 file with a clap box at the end of its picture's description; its header lies behind the frames."""
    content = path.read_bytes()
    places = [content.index(kind) - 4 for kind in BOXES]
    end = places[-1] + int.from_bytes(content[places[-1] : places[-1] + 4], "big")
    box = struct.pack(">I4sIIIIiIiI", 40, b"clap", *fractions)
    made = bytearray(content[:end] + box + content[end:])
    for place in places:
        size = int.from_bytes(made[place : place + 4], "big")
        made[place : place + 4] = (size + len(box)).to_bytes(4, "big")
    path.write_bytes(made)
    return path


def with_pixel_crop(path: Path, **margins: int) -> Path:
    """The Matroska file with PixelCrop elements, for which its padding gives room."""
    numbers = {"left": b"\x54\xcc", "top": b"\x54\xbb", "right": b"\x54\xdd", "bottom": b"\x54\xaa"}
    crops = b"".join(numbers[side] + b"\x81" + bytes([value]) for side, value in margins.items())
    made = bytearray(path.read_bytes())
    padding = made.index(b"\xec\x01")
    tracks = made.index(b"\x16\x54\xae\x6b", padding)
    track = tracks + 4 + 9 - made[tracks + 4].bit_length()
    track += 6 if made[track] == 0xBF else 0  # behind the checksum, which is another one each time
    assert made[track] == 0xAE
    video = made.index(b"\xe0", made.index(b"V_MPEG4", track))
    for place, more in ((padding + 1, -len(crops)), *((at, len(crops)) for at in (tracks + 4, track + 1, video + 1))):
        length = 9 - made[place].bit_length()
        size = int.from_bytes(made[place : place + length], "big") + more
        made[place : place + length] = size.to_bytes(length, "big")
    start = video + 1 + 9 - made[video + 1].bit_length()
    made[start:start] = crops
    del made[padding + 9 : padding + 9 + len(crops)]
    path.write_bytes(made)
    return path


def shown(path: Path) -> np.ndarray:
    clip = read_clip(path)
    frames = [frame.pixels for frame in clip]
    assert len(frames) == 2 and (clip.size[1], clip.size[0], 3) == frames[0].shape
    return frames[0].astype(int)


@pytest.mark.parametrize(
    ("fractions", "box"),
    [
        ((40, 1, 30, 1, 0, 1, 0, 1), (12, 9, 52, 39)),
        ((80, 2, 30, 1, -4, 1, 3, 1), (8, 12, 48, 42)),
        ((64, 1, 48, 1, 0, 1, 0, 1), (0, 0, 64, 48)),
    ],
)
def test_a_clean_aperture_is_what_is_seen(fractions: tuple[int, ...], box: tuple[int, ...], tmp_path: Path) -> None:
    path = with_aperture(film(tmp_path / "a.mp4", [0, 40]), *fractions)
    left, top, right, bottom = box
    pixels, expected = shown(path), picture(0)[top:bottom, left:right]
    assert pixels.shape == expected.shape and np.abs(pixels - expected).mean() < 3


def test_what_matroska_crops_is_not_seen(tmp_path: Path) -> None:
    path = with_pixel_crop(film(tmp_path / "a.mkv", [0, 40]), left=10, top=4, right=6, bottom=20)
    pixels, expected = shown(path), picture(0)[4:28, 10:58]
    assert pixels.shape == expected.shape and np.abs(pixels - expected).mean() < 3


def test_margins_are_those_of_the_frame_before_it_is_widened_and_turned(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [0, 40], rotation=90, aspect=Fraction(3, 2))
    assert shown(with_aperture(path, 40, 1, 30, 1, -12, 1, 0, 1)).shape == (60, 30, 3)


@pytest.mark.parametrize(
    "fractions",
    [(0, 1, 30, 1, 0, 1, 0, 1), (40, 0, 30, 0, 0, 0, 0, 0), (40, 1, 30, 1, 400, 1, 0, 1), (80, 1, 30, 1, 0, 1, 0, 1)],
)
def test_an_aperture_that_makes_no_sense_crops_nothing(fractions: tuple[int, ...], tmp_path: Path) -> None:
    assert shown(with_aperture(film(tmp_path / "a.mp4", [0, 40]), *fractions)).shape == (48, 64, 3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_without_anything_to_crop_there_are_no_margins(suffix: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"a.{suffix}", [0, 40])
    assert margins_of(path, 1, (64, 48)) is None
    assert margins_of(tmp_path / "missing", 1, (64, 48)) is None


def test_margins_are_widened_with_the_frame() -> None:
    pixels = np.arange(4 * 20 * 3).reshape(4, 20, 3)
    assert np.array_equal(Margins(2, 1, 4, 0).cut(pixels, 2.0), pixels[1:, 4:12])
