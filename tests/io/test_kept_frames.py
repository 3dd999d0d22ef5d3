from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latentface.arrays import Pixels
from latentface.errors import InputError, OutputError
from latentface.io.kept_frames import KeptFrames, film_facts, pack, unpack
from tests.helpers.full_disk import little_room


@pytest.fixture
def frames() -> list[tuple[Pixels, Pixels]]:
    """Sources and what was made of them: nothing, a part, everything."""
    source = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    part = source.copy()
    part[3:9, 5:26] ^= 255
    return [(source, source), (source, part), (source[..., :3], 255 - source[..., :3])]


def keep(path: Path, frames: list[tuple[Pixels, Pixels]], **facts: object) -> None:
    with KeptFrames(path, facts) as kept:
        for source, made in frames[kept.found :]:
            kept.add(pack(made, source))


def test_frames_come_back_exactly(frames: list[tuple[Pixels, Pixels]], tmp_path: Path) -> None:
    keep(tmp_path / "a.run" / "frames", frames, film="a")
    with KeptFrames(tmp_path / "a.run" / "frames", {"film": "a"}) as kept:
        assert (kept.found, kept.count, kept.replaced) == (3, 3, False)
        for (source, made), record in zip(frames, kept.records(), strict=True):
            assert np.array_equal(unpack(record, source), made)
        kept.remove()
    assert not (tmp_path / "a.run").exists()


def test_wherever_a_run_is_killed_the_whole_frames_are_kept(
    frames: list[tuple[Pixels, Pixels]], tmp_path: Path
) -> None:
    path = tmp_path / "frames"
    keep(path, frames)
    whole = path.read_bytes()
    for size in range(len(whole), 0, -7):
        path.write_bytes(whole[:size])
        keep(path, frames)
        assert path.read_bytes() == whole


def test_another_run_starts_again(frames: list[tuple[Pixels, Pixels]], tmp_path: Path) -> None:
    keep(tmp_path / "frames", frames, strength=1)
    with KeptFrames(tmp_path / "frames", {"strength": 2}) as kept:
        assert (kept.found, kept.replaced) == (0, True)


def test_damage_is_told(frames: list[tuple[Pixels, Pixels]]) -> None:
    source, made = frames[1]
    with pytest.raises(InputError, match="damaged"):
        unpack(pack(made, source)[:60], source)


@pytest.mark.parametrize("size", [4, 90])
def test_a_disk_that_is_full_is_told(size: int, frames: list[tuple[Pixels, Pixels]], tmp_path: Path) -> None:
    with little_room(size), pytest.raises(OutputError, match=r"frames: .*has room"):
        keep(tmp_path / "frames", frames)
    keep(tmp_path / "frames", frames)
    with KeptFrames(tmp_path / "frames", {}) as kept:
        assert kept.found == 3


def test_films_are_known_again(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x" * 100)
    before = film_facts(tmp_path / "a.mp4")
    assert before == film_facts(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"x" * 99 + b"y")
    assert film_facts(tmp_path / "a.mp4") != before
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "0.png").write_bytes(b"x")
    assert film_facts(tmp_path / "frames") != film_facts(tmp_path)
    json.dumps(film_facts(tmp_path / "frames"))
