"""The user's own clips: found, decoded, and left out with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.errors import InputError
from latentface.io.video import write_clip
from latentface.training.motion_clips import check_clip, find_clips, gather, person_of
from tests.helpers.films import film, moving


def test_bad_clips_are_left_out_with_the_reason(tmp_path: Path) -> None:
    good = film(tmp_path / "anna#1.mp4", [0, 40, 80, 120])
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:-600])
    write_clip(tmp_path / "one.mp4", moving(1))
    still = [next(iter(moving(1))).pixels] * 5
    write_clip(tmp_path / "still", moving(1).of(still, 25, (64, 48)))
    write_clip(tmp_path / "frames", moving(3))
    locked = good.read_bytes().replace(b"mp4v", b"encv")
    (tmp_path / "locked.mp4").write_bytes(locked)
    heard: list[str] = []
    clips, checked = gather(find_clips([tmp_path]), 32, lambda clip: heard.append(clip.path.name))
    reasons = {clip.path.name: clip.reason for clip in checked}
    assert heard == sorted(reasons)
    assert {name for name, reason in reasons.items() if not reason} == {"anna#1.mp4", "frames"}
    for name, reason in {
        "empty.mp4": "empty", "noise.mp4": "not a clip", "cut.mp4": "", "one.mp4": "a single frame",
        "still": "identical", "locked.mp4": "encrypted",
    }.items():  # fmt: skip
        assert reasons[name], name
        assert reason in reasons[name], reasons[name]
    assert clips.people == ("anna", "frames")
    assert [len(clip) for clip in clips.pictures] == [4, 3]
    assert clips.pictures[0].shape[1:] == (32, 32, 3)


def test_long_clips_keep_frames_spread_over_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    write_clip(path, moving(150))
    checked, frames = check_clip(path, 16)
    assert checked.frames == 150
    assert frames is not None
    assert len(frames) == 32
    assert person_of(Path("id1#v#2#3.mp4")) == "id1"


def test_clips_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        find_clips([tmp_path / "nothing"])
    with pytest.raises(InputError, match="no video and no folder of frames in these"):
        find_clips([tmp_path])
