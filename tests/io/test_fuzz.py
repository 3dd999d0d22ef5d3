"""Damaged files of every kind that is read: an `InputError` that names them, or a picture, and nothing else.

`make fuzz` runs the same for long.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from fractions import Fraction
from io import BytesIO
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from PIL import Image

from latentface.errors import InputError
from latentface.io.images import read_photo, write_photo
from latentface.io.video import read_clip, write_clip
from tests.helpers.damage import LONG_OR_SHORT, bounded, damaged
from tests.helpers.profiles import rgb_profile

PICTURES = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF")
CLIPS = {"mp4": "libx264", "mkv": "mpeg4", "avi": "mjpeg", "webm": "libvpx"}


@functools.cache
def picture(kind: str) -> bytes:
    """A picture with metadata."""
    pillow_heif.register_heif_opener()
    y, x = np.mgrid[:24, :32]
    rgb = np.stack([x * 7, y * 9, (x + y) * 4], -1).astype(np.uint8)
    exif, file, options = Image.Exif(), BytesIO(), {}
    exif[0x010F], exif[0x0112] = "Camera", 6
    if kind not in ("BMP", "GIF"):
        options = {"exif": exif.tobytes(), "icc_profile": rgb_profile("p3")}
    Image.fromarray(rgb).save(file, kind, **options)
    return file.getvalue()


@functools.cache
def clip(suffix: str) -> bytes:
    """A clip of 6 frames, with sound."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(CLIPS[suffix], rate=25)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if suffix == "avi" else "yuv420p"
            track: Any = container.add_stream(
                "libopus" if suffix == "webm" else "libmp3lame", rate=48000, layout="mono"
            )
            for k in range(6):
                frame: Any = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * k, np.uint8), format="rgb24")
                frame.pts, frame.time_base = k, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            wave = (9000 * np.sin(np.arange(11520) / 9)).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 0, Fraction(1, 48000)
            for packet in (*track.encode(sound), *track.encode(None)):
                container.mux(packet)
        return path.read_bytes()


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@LONG_OR_SHORT
@given(damaged(tuple(map(picture, PICTURES))))
def test_damaged_pictures(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), bounded():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        path = Path(folder) / "a.jpg"
        path.write_bytes(content)
        try:
            photo = read_photo(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            if max(photo.rgb.shape) > 65_500:  # which a JPEG does not hold
                return
            write_photo(Path(folder) / "b.jpg", photo)
            assert read_photo(Path(folder) / "b.jpg").rgb.shape == photo.rgb.shape


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@LONG_OR_SHORT
@given(damaged(tuple(map(clip, CLIPS))))
def test_damaged_clips(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, bounded():
        path = Path(folder) / "a.mp4"
        path.write_bytes(content)
        try:
            found = read_clip(path)
            times = [frame.time for frame in islice(found, 40)]
            assert all(one < other for one, other in pairwise(times))
            write_clip(Path(folder) / "b.mp4", read_clip(path))
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            assert [each.name for each in Path(folder).iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("kind", PICTURES)
def test_the_pictures_are_sound_before(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(picture(kind))
    assert sorted(read_photo(tmp_path / "a").rgb.shape) == [3, 24, 32]


@pytest.mark.parametrize("suffix", CLIPS)
def test_the_clips_are_sound_before(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(clip(suffix))
    assert sum(1 for _ in read_clip(tmp_path / "a")) == 6
