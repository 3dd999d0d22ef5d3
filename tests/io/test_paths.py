"""Names of files: addresses, bytes, and what a terminal can show."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from latentface.errors import OutputError
from latentface.io.atomic import atomic_path, check_name
from latentface.io.paths import advice, is_address, printable, reason
from latentface.io.video import write_clip
from tests.helpers.films import moving


@pytest.mark.parametrize("text", ["rtsp://host/cam", "http://host", "rtmp+tls://host"])
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["take:2.mp4", "/dev/video0", "C:/a.mp4", "://x", "my clip://x"])
def test_paths_are_no_addresses(text: str) -> None:
    assert not is_address(text)


def test_names_that_are_not_utf8_can_be_shown() -> None:
    assert printable(os.fsdecode(b"Jos\xe9.jpg")) == "Jos�.jpg"
    assert printable(Path("José.jpg")) == "José.jpg"


@pytest.mark.parametrize("stem", ["微" * 83, "x" * 251, "é" * 125])
def test_a_name_of_nearly_as_many_bytes_as_there_can_be_is_written(stem: str, tmp_path: Path) -> None:
    with atomic_path(tmp_path / f"{stem}.png") as temporary:
        assert len(os.fsencode(temporary.name)) < 120
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")
    assert (tmp_path / f"{stem}.png").read_bytes() == b"x"


def test_a_folder_of_frames_with_a_long_name(tmp_path: Path) -> None:
    write_clip(tmp_path / ("微" * 80), moving(2))
    assert len(list((tmp_path / ("微" * 80)).iterdir())) == 2


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / f"{'微' * 84}.png"
    with pytest.raises(OutputError, match="its name has 256 bytes, and a file's name at most 255"):
        check_name(path)
    with pytest.raises(OutputError, match="256 bytes"), atomic_path(path):
        pytest.fail("no work is to be done")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "has room"),
        (errno.EROFS, "can be written"),
        (errno.EACCES, "can be written"),
        (errno.ENOENT, "that exists"),
        (errno.EINVAL, ""),  # an encoder's fault: nothing is wrong with the place
        (None, ""),
    ],
)
def test_advice_fits_the_fault(number: int | None, words: str) -> None:
    assert words in advice(number)
    assert bool(words) == bool(advice(number))


def test_reasons_are_words_alone(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        (tmp_path / "none").read_text()
    assert reason(caught.value) == "No such file or directory"
    assert reason(ValueError("two\n lines")) == "two lines"
