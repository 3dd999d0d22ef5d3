"""A camera, and a film played as one: always the newest frame, none before its time, and an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from latentface.errors import InputError
from latentface.io import camera as cameras
from latentface.io.camera import Camera
from latentface.io.clip import Clip, Frame
from latentface.io.video import write_clip
from tests.helpers.films import moving, number, picture

HANG = 300.0  # seconds after which a test has failed; nothing depends on how long anything takes


def wait_until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + HANG
    while not true():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.001)


class Gate:
    """Frames that come when they are let through, all due at once."""

    def __init__(self, count: int) -> None:
        self.count, self.open = count, threading.Semaphore(1)

    def __iter__(self) -> Iterator[Frame]:
        for k in range(self.count):
            assert self.open.acquire(timeout=HANG)
            yield Frame(picture(k), Fraction(0))

    def let(self, camera: Camera, count: int) -> None:
        """Let so many more through, and wait until the camera has them."""
        wanted = min(camera.taken + count, self.count)
        for _ in range(count):
            self.open.release()
        wait_until(lambda: camera.taken == wanted)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    write_clip(path, moving(15, 30))
    return path


def test_whoever_is_slower_gets_the_newest_frame(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(15)
    monkeypatch.setattr(cameras, "read_clip", lambda path: Clip(gate, Fraction(30), (64, 48), 15))
    seen, times = [], []
    with Camera(str(film)) as camera:
        clip = camera.clip()
        assert (clip.size, clip.rate, clip.once) == ((64, 48), 30, True)
        for frame in clip:
            seen.append(number(frame.pixels))
            times.append(frame.time)
            gate.let(camera, 3)
        assert (camera.taken, camera.missed) == (15, 9)
    assert seen == [0, 3, 6, 9, 11, 14]  # once in so many frames, two may wait
    assert times == sorted(set(times))


def test_whoever_is_late_now_and_then_misses_none(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, seen = Gate(15), []
    monkeypatch.setattr(cameras, "read_clip", lambda path: Clip(gate, Fraction(30), (64, 48), 15))
    with Camera(str(film)) as camera:
        for frame in camera.clip():
            seen.append(number(frame.pixels))
            gate.let(camera, {3: 2, 4: 0}.get(seen[-1], 1))  # two come before the fourth is done
        assert camera.missed == 0
    assert seen == list(range(15))


def test_a_film_is_played_no_faster_than_it_is(film: Path) -> None:
    began = time.monotonic()
    with Camera(str(film)) as camera:
        frames = [(number(frame.pixels), frame.time, time.monotonic()) for frame in camera.clip()]
        assert camera.taken == 15
    assert frames[-1][0] == 14
    for k, taken, now in frames:
        assert taken >= Fraction(k, 30) - Fraction(1, 1000)  # times are rounded to milliseconds
        assert now - began >= k / 30 - 0.001


def test_the_age_of_a_frame_grows(film: Path) -> None:
    with Camera(str(film)) as camera:
        frame = next(iter(camera.clip()))
        first = camera.age(frame.time)
        wait_until(lambda: camera.age(frame.time) > first)
        assert first > -0.001


def test_what_goes_wrong_reaches_whoever_waits(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Frame]:
        yield Frame(picture(0), Fraction(0))
        raise OSError("unplugged")

    monkeypatch.setattr(cameras, "read_clip", lambda path: Clip(broken(), Fraction(30), (64, 48)))
    with Camera(str(film)) as camera, pytest.raises(InputError, match="unplugged"):
        list(camera.clip())


def test_a_camera_that_falls_silent_is_gone(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(2)
    monkeypatch.setattr(cameras, "read_clip", lambda path: Clip(gate, Fraction(30), (64, 48)))
    with Camera(str(film)) as camera:
        frames = iter(camera.clip())
        assert number(next(frames).pixels) == 0
        monkeypatch.setattr(cameras, "PATIENCE", 0.05)
        with pytest.raises(InputError, match="no picture for"):
            next(frames)
        gate.open.release()


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(InputError, match="camera 97: cannot open"):
        Camera("97")
