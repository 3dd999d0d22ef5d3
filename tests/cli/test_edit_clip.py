"""`latentface edit` and `latentface transfer` on a clip, with the built-in networks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentface.cli import run
from latentface.cli.edit_clip import keeping_frames
from latentface.cli.report import Report
from latentface.editing.clip_edit import _ClipEditor
from latentface.errors import InputError, OutputError
from latentface.io.clip import Clip
from latentface.io.kept_frames import pack
from latentface.io.video import read_clip, write_clip
from latentface.latents.latent import Latent

ROOT = Path(__file__).parents[2]
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"
SIZE = (180, 180)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB").crop((60, 0, 400, 340)).resize(SIZE))
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_clip(path, Clip.of([photo] * 3, 5, SIZE, count=3))
    return path


def called(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_edit_changes_a_clip_over_time(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, preset = tmp_path / "out.mp4", tmp_path / "mine.toml"
    keys = ("--at", 0, "jaw+=0", "--at", "0.4s", "jaw+=0.6")
    code, out, err = called(
        capsys, "edit", film, *keys, "--set", "brows=0", "--save-preset", preset, "-o", target, "--json"
    )
    assert code == 0, err
    told = json.loads(out)
    assert (told["frames"], told["untouched"], told["set"]) == (3, 0, {"brows": 0.0})
    assert told["keys"] == {"jaw+": [[0.0, 0.0], [0.4, 0.6]]}
    before, after = ([f.pixels.astype(int) for f in read_clip(path)] for path in (film, target))
    changes = [np.abs(a - b).mean() for a, b in zip(before, after, strict=True)]
    assert changes[2] > changes[1] > changes[0]
    assert preset.exists()


def test_transfer_gives_a_clip_the_expression_of_a_photo(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.gif"
    words = ("--identity", film, "--expression", ASTRONAUT, "--strength", 0.5, "--only", "lips", "-o", target)
    code, out, err = called(capsys, "transfer", *words, "--json")
    assert code == 0, err
    assert json.loads(out)["frames"] == 3 and len(list(read_clip(target))) == 3


def test_transfer_gives_a_clip_the_expression_of_another(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smiling, target = tmp_path / "smiling.mp4", tmp_path / "out.mp4"
    assert called(capsys, "edit", film, "--at", 0, "jaw+=0", "--at", 0.4, "jaw+=0.6", "-o", smiling)[0] == 0
    code, out, err = called(capsys, "transfer", "--identity", film, "--expression", smiling, "-o", target, "--json")
    assert code == 0, err
    assert json.loads(out)["frames"] == 3
    before, after = ([f.pixels.astype(int) for f in read_clip(path)] for path in (film, target))
    changes = [np.abs(a - b).mean() for a, b in zip(before, after, strict=True)]
    assert changes[2] > 1.5 * changes[0]


KILLED = """
import os, signal, sys
from latentface.cli import run
from latentface.io.kept_frames import KeptFrames
add = KeptFrames.add
def add_two(kept, record):
    add(kept, record)
    if kept.count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
KeptFrames.add = add_two
run(sys.argv[1:])
"""


def test_a_run_that_was_killed_goes_on_where_it_stood(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def words(name: str) -> list[str]:
        return ["edit", str(film), "--set", "jaw+=0.6", "--no-sign", "-o", str(tmp_path / name)]

    killed = subprocess.run([sys.executable, "-c", KILLED, *words("a.mp4")], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "a.mp4").exists()
    with pytest.MonkeyPatch.context() as patch:
        rendered: list[object] = []
        render = _ClipEditor.render
        patch.setattr(_ClipEditor, "render", lambda editor, step: rendered.append(step) or render(editor, step))
        code, _, err = called(capsys, *words("a.mp4"))
    assert code == 0 and "continuing after 2 frames" in err and len(rendered) == 1
    assert called(capsys, *words("b.mp4"))[0] == 0
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("fault", "kept"), [(KeyboardInterrupt(), 2), (OutputError("disk full"), 2), (InputError("no face"), 0)]
)
def test_what_would_fail_again_keeps_no_frames(fault: BaseException, kept: int, tmp_path: Path) -> None:
    target, facts = tmp_path / "out.mp4", {"film": "a"}
    with pytest.raises(type(fault)), keeping_frames(Report(), target, facts) as frames:
        for _ in range(2):
            frames.add(pack(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)))
        raise fault
    with keeping_frames(Report(), target, facts) as frames:
        assert frames.found == kept
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["edit", "FILM"], "nothing to edit"),
        (["edit", "FILM", "--set", "smile=1", "--strip", "smile"], "--strip has no effect with a clip as the source"),
        (["edit", "FILM", "--set", "smile=1", "--network", "synthface-128"], "--network has no effect"),
        (["edit", "FILM", "--set", "smile=1", "--rate", "25"], "--rate has no effect"),
        (["edit", "FILM", "--at", "soon", "smile=1"], "expected seconds"),
        (["edit", "FILM", "--at", "1", "smile"], "expected NAME=STRENGTH"),
        (["edit", "FILM", "--set", "smile=1", "-o", "out.png"], "the result is a clip"),
        (["edit", "FILM", "--set", "smile=1", "-o", "FILM"], "is an input"),
        (["edit", "PHOTO", "--set", "smile=1", "--at", "1", "smile=1"], "--at has no effect with a photo"),
        (["edit", "PHOTO", "--set", "smile=1", "--mode", "absolute"], "--mode has no effect with a photo"),
        (["transfer", "--identity", "FILM", "--expression", "LATENT"], "of a photo or a clip, not of a latent"),
        (["edit", "FILM", "--set", "smile=1", "--only", "nose"], "no part nose"),
        (["edit", "PHOTO", "--set", "smile=1", "--only", "lips", "--place", "paste"], "--only has no effect"),
        (["transfer", "--identity", "FILM", "--expression", "PHOTO", "--layers", "3"], "--layers has no effect"),
    ],
)
def test_what_makes_no_sense_is_said(
    words: list[str], message: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Latent(torch.zeros(14, 256), "0" * 64).save(film.with_name("latent.safetensors"))
    places = {"FILM": film, "PHOTO": ASTRONAUT, "LATENT": film.with_name("latent.safetensors")}
    code, _, err = called(capsys, *(places.get(word, word) for word in words))
    assert code in (2, 5) and message in err and "Traceback" not in err
