"""A camera gives the newest frame: files played as cameras at their own pace, and what does not open."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from latentface.errors import InputError
from latentface.io.camera import Camera
from latentface.io.clip import Clip
from latentface.io.video import write_clip
from tests.helpers.films import moving
from tests.helpers.motion_models import wandering


def test_a_file_played_as_a_camera_drops_frames_for_the_slow(tmp_path: Path) -> None:
    path = tmp_path / "driver.mp4"
    write_clip(path, Clip.of([wandering(k) for k in range(15)], 30, (180, 140)))
    with Camera(str(path)) as camera:
        clip = camera.clip()
        assert clip.size == (180, 140)
        times = []
        for frame in clip:
            times.append(frame.time)
            assert camera.age(frame.time) < 5
            time.sleep(0.1)
    assert times == sorted(set(times))
    assert 2 <= len(times) < 15
    assert camera.taken == 15


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(InputError, match="camera 97: cannot open"):
        Camera("97")


def test_a_fast_reader_gets_every_frame_at_the_clip_s_own_pace(tmp_path: Path) -> None:
    path = tmp_path / "driver.mp4"
    write_clip(path, Clip.of([wandering(k) for k in range(6)], 20, (180, 140)))
    began = time.monotonic()
    with Camera(str(path)) as camera:
        clip = camera.clip()
        frames = list(clip)
    assert clip.rate == 20 and camera.taken == 6
    assert time.monotonic() - began >= 0.25  # 5 / 20 s lie between the first frame and the last
    assert 1 <= len(frames) <= 6
    assert all(earlier.time < later.time for earlier, later in pairwise(frames))


def test_a_file_s_damage_reaches_whoever_waits_for_frames(tmp_path: Path) -> None:
    write_clip(tmp_path / "whole.mp4", moving(60, 200))
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    with Camera(str(tmp_path / "cut.mp4")) as camera, pytest.raises(InputError, match="damaged or cut off"):
        list(camera.clip())


def test_a_stream_that_does_not_answer_is_refused() -> None:
    with pytest.raises(InputError, match=r"camera tcp://127\.0\.0\.1:9: cannot open"):
        Camera("tcp://127.0.0.1:9")


def test_the_block_s_end_stops_the_camera(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", moving(200, 10))
    with Camera(str(tmp_path / "long.mp4")) as camera:
        frame = next(iter(camera.clip()))
    taken = camera.taken
    assert frame.pixels.shape == (48, 64, 3) and taken < 200
    assert all(thread.name != "camera" for thread in threading.enumerate())
