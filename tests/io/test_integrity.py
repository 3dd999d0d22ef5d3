"""Whole clips and broken ones, as other programs would find them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.io.clip import Clip
from latentface.io.integrity import check_clip
from latentface.io.video import write_clip
from tests.helpers.films import film, moving


def test_a_whole_clip_is_described(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    film(path, [0, 40, 80, 120], sound="flac")
    found = check_clip(path)
    assert found.problem is None and found.frames == 4 and found.seconds == pytest.approx(0.16, abs=0.01)
    assert "matroska" in str(found.facts["container"]) and found.facts["audio"] == "flac" and found.width > 0
    assert found.mse_mean is not None and found.mse_max is not None and found.mse_max >= found.mse_mean > 0


def test_differences_are_mean_squares_and_repeats_are_counted(tmp_path: Path) -> None:
    grey = [np.full((16, 16, 3), level, np.uint8) for level in (10, 10, 10, 14)]
    write_clip(tmp_path / "a.gif", Clip.of(grey, 10, (16, 16)))
    found = check_clip(tmp_path / "a.gif")
    assert found.problem is None and (found.mse_max, found.jump) == (16.0, 0.3)
    assert found.mse_mean == pytest.approx(16 / 3, abs=1e-3) and found.repeated == pytest.approx(2 / 3, abs=1e-3)


def test_what_is_wrong_is_told_with_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, moving(40))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    found = check_clip(path)
    assert found.problem is not None and "cut off" in found.problem and str(path) not in found.problem
    assert 0 < found.frames < 40 and found.facts["video"] == "h264"
    for name, content in (("b.mp4", b""), ("c.mp4", b"no clip" * 100)):
        (tmp_path / name).write_bytes(content)
        found = check_clip(tmp_path / name)
        assert found.problem and not found.frames and not found.facts and found.mse_mean is None
