"""Files are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import OutputError
from latentface.io.atomic import atomic_path, sha256
from latentface.io.clip import Clip
from latentface.io.images import write_image
from latentface.io.tensors import write_tensors
from latentface.io.video import write_clip
from tests.helpers.full_disk import little_room


def test_the_target_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".png" and temporary != target
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_system_errors_become_output_errors(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="No such file or directory") as caught,
        atomic_path(tmp_path / "no" / "a") as path,
    ):
        path.write_text("x")
    assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match="No space left"), atomic_path(tmp_path / "a") as path:
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match="it is a folder"), atomic_path(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    code = (
        "import sys, time\nfrom latentface.io.atomic import atomic_path\n"
        f"with atomic_path({str(target)!r}) as path:\n    path.write_text('half')\n    print('ready', flush=True)\n"
        "    time.sleep(3600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.kill()
        process.wait()
    assert target.read_text() == "old"


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.webp", "b.mp4", "b.webm", "b.gif", "b.webp", "frames", "c.safetensors"]
)
def test_a_disk_that_fills_up_while_a_file_is_written_leaves_nothing(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    with little_room(3000), pytest.raises(OutputError, match=f"{name}.*; choose a place that has room"):
        if name[0] == "a":
            write_image(tmp_path / name, noise[0])
        elif name[0] == "c":
            write_tensors(tmp_path / name, {"a": torch.zeros(4000)}, {})
        else:
            write_clip(tmp_path / name, Clip.of(noise, 25, (64, 64)))
    assert list(tmp_path.iterdir()) == []
