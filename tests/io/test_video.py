"""Clips written and read again: exact times, upright pictures, sound, alpha, damage, and no half-written file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.errors import InputError, OutputError, UsageError
from latentface.io.clip import Clip, Frame
from latentface.io.images import write_image
from latentface.io.video import read_clip, write_clip
from tests.helpers.films import NTSC, moving, number, picture

KINDS = ["clip.mp4", "clip.webm", "clip.gif", "clip.webp", "frames"]


def read_back(path: Path, rate: Fraction | int = 25) -> Clip:
    return read_clip(path, rate if path.is_dir() else None)


@pytest.mark.parametrize("name", KINDS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    written = write_clip(tmp_path / name, moving(8))
    clip = read_back(tmp_path / name)
    frames = list(clip)
    assert (written.frames, written.seconds, written.sound) == (8, Fraction(8, 25), "none")
    assert (clip.rate, clip.size, clip.alpha, clip.sound) == (25, (64, 48), False, None)
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(8)]
    errors = [np.abs(frame.pixels.astype(int) - picture(k)).mean() for k, frame in enumerate(frames)]
    assert max(errors) < (6 if name.endswith("gif") else 2)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif"])
def test_broadcast_rates_stay_exact(name: str, tmp_path: Path) -> None:
    """Matroska counts milliseconds and GIF hundredths, yet the frames come back at k * 1001 / 30000."""
    write_clip(tmp_path / name, moving(20, NTSC))
    frames = list(read_clip(tmp_path / name))
    assert len(frames) == 20
    if name.endswith("gif"):  # its rate can only be measured: the mean of 3, 3 and 4 hundredths
        assert all(abs(frame.time - k / NTSC) < Fraction(1, 100) for k, frame in enumerate(frames))
    else:
        assert [frame.time for frame in frames] == [k / NTSC for k in range(20)]


def test_a_clip_from_a_file_can_be_read_again(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(5))
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.count == 5
    assert [number(f.pixels) for f in clip] == [number(f.pixels) for f in clip] == [0, 1, 2, 3, 4]


# ------------------------------------------------------------------------------------------------------ sound


# ------------------------------------------------------------------------------------------------------ bad input


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_clip(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="no photos"):
        read_clip(tmp_path, 25)


def test_rates_go_with_folders_and_only_with_them(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(0))
    with pytest.raises(UsageError, match="no rate of its own"):
        read_clip(tmp_path)
    with pytest.raises(UsageError, match="its own frame rate"):
        read_clip(tmp_path / "a.png", 25)


def test_an_empty_clip_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        write_clip(tmp_path / "a.mp4", moving(0))
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size(tmp_path: Path) -> None:
    pictures = [picture(0), picture(1, (32, 32))]
    with pytest.raises(InputError, match=r"\[32, 32, 3\].*\[48, 64, 3\]"):
        write_clip(tmp_path / "a.mp4", Clip.of(pictures, 25, (64, 48)))
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------ output


def breaking(count: int, error: BaseException) -> Clip:
    def frames() -> Iterator[Frame]:
        yield from moving(count)
        raise error

    return Clip(frames(), Fraction(25), (64, 48))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("cut off")])
def test_an_interrupted_clip_leaves_nothing(name: str, error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        write_clip(tmp_path / name, breaking(5, error))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", KINDS)
def test_what_there_is_can_be_kept(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path / name, breaking(5, KeyboardInterrupt()), keep_partial=True)
    assert [number(frame.pixels) for frame in read_back(tmp_path / name)] == [0, 1, 2, 3, 4]


def test_places_and_kinds_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="kind of clip"):
        write_clip(tmp_path / "a.avi", moving(2))
    with pytest.raises(OutputError, match=r"a\.mp4"):
        write_clip(tmp_path / "none" / "a.mp4", moving(2))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="holds more than frames"):
        write_clip(tmp_path / "full", moving(2))
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep me"


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import resource
    import signal

    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(40))
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, old[1]))
        with pytest.raises(OutputError, match=r"a\.mp4"):
            write_clip(tmp_path / "a.mp4", Clip.of(noise, 25, (320, 240)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


LONG = """
import resource, sys
from tests.helpers.films import moving, picture
from latentface.io.clip import Clip
from latentface.io.video import read_clip, write_clip
pictures = [picture(k, (256, 192)) for k in range(24)]
write_clip(sys.argv[1], Clip.of((pictures[k % 24] for k in range(1000)), 25, (256, 192)))
def tell(count, frame):
    if count in (200, 1000):
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
write_clip(sys.argv[2], read_clip(sys.argv[1]), on_frame=tell)
"""


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """800 frames of 256 x 192 pixels take 118 MB."""
    words = [sys.executable, "-c", LONG, str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    early, late = map(int, done.stdout.split())
    assert late < 1.05 * early


def test_on_frame_counts(tmp_path: Path) -> None:
    seen: list[int] = []
    write_clip(tmp_path / "a.mp4", moving(4), on_frame=lambda count, frame: seen.append(count))
    assert seen == [1, 2, 3, 4]


def test_a_frame_that_cannot_be_written_goes_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match=r"cannot write \S*/frames/frame-000000\.png: No space left"):
        write_clip(tmp_path / "frames", moving(2))
    assert list(tmp_path.iterdir()) == []
