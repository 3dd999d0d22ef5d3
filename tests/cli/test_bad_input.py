"""Each kind of bad input: one line on stderr that says what to do, the right exit code, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface import api
from latentface.faces import alignment
from latentface.latents.latent import Latent
from tests.helpers.cli_desk import Desk, Outcome

DETECT = alignment.detect_faces  # before the fixtures put a stand-in in its place
PORTRAIT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def assert_refused(done: Outcome, code: int, *words: str) -> None:
    assert done.code == code, done.err
    lines = done.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("latentface: "), done.err
    for word in words:
        assert word in lines[0], lines[0]


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_no_such_file(desk: Desk) -> None:
    assert_refused(desk.project(desk.folder / "nobody.jpg"), 3, "nobody.jpg", "no such file", "check the path")
    assert not desk.out.exists()


def test_a_folder_without_photos(desk: Desk) -> None:
    (desk.folder / "empty").mkdir()
    assert_refused(desk.project(desk.folder / "empty"), 3, "no photos")


def test_a_folder_of_results_only(desk: Desk) -> None:
    assert desk.project(desk.photo()).code == 0
    assert_refused(desk.project(desk.out), 3, "only results")


def test_an_empty_file(desk: Desk) -> None:
    (desk.folder / "empty.jpg").touch()
    assert_refused(desk.project(desk.folder / "empty.jpg"), 3, "empty.jpg", "empty")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_truncated_file(desk: Desk, suffix: str) -> None:
    whole = desk.photo(f"whole.{suffix}").read_bytes()
    cut = desk.folder / f"cut.{suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    assert_refused(desk.project(cut), 3, f"cut.{suffix}")
    assert desk.written() == []


def test_a_file_that_is_no_picture(desk: Desk) -> None:
    (desk.folder / "notes.jpg").write_text("dear diary")
    assert_refused(desk.project(desk.folder / "notes.jpg"), 3, "notes.jpg", "not a picture")


def test_a_bomb_is_refused_by_its_header(desk: Desk) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(1000))
    bomb = desk.folder / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    assert_refused(desk.project(bomb), 3, "30000 x 30000")


def test_a_photo_without_a_face(desk: Desk) -> None:
    Image.new("RGB", (200, 150), (20, 90, 30)).save(desk.folder / "meadow.png")
    assert_refused(desk.project(desk.folder / "meadow.png"), 3, "meadow.png", "no face")
    assert not desk.out.exists()  # not even an empty folder


def test_an_output_folder_below_a_file(desk: Desk) -> None:
    (desk.folder / "file").touch()
    done = desk.run("project", desk.photo(), "--network", desk.network, "-o", desk.folder / "file" / "out")
    assert_refused(done, 5, "cannot create the folder", "-o")


def test_an_output_folder_that_is_a_file(desk: Desk) -> None:
    (desk.folder / "file").touch()
    done = desk.run("project", desk.photo(), "--network", desk.network, "-o", desk.folder / "file")
    assert_refused(done, 5, "is a file", "-o")


def test_an_output_folder_that_takes_no_files(desk: Desk) -> None:
    done = desk.run("project", desk.photo(), "--network", desk.network, "-o", "/proc/self")
    assert_refused(done, 5, "/proc/self", "-o")


@pytest.mark.parametrize("step", ["replace", "save"])
def test_a_full_disk_leaves_nothing_half_written(desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    photos = [desk.photo(), desk.photo("ben.png", faces=(80,))]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "save":
        monkeypatch.setattr(Image.Image, "save", full)
    else:
        monkeypatch.setattr(os, "replace", full)
    done = desk.project(*photos, "--batch", 1, "--json")
    assert done.code == 5
    assert_refused(Outcome(done.code, done.out, done.err), 5, "No space left")
    assert [entry["status"] for entry in done.json["results"]] == ["failed"]  # the next would fail as well
    assert leftovers(desk.out) == []


def test_a_disk_that_fills_up_before_the_latent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    photo = desk.photo()
    monkeypatch.setattr(Path, "write_bytes", full)
    assert_refused(desk.project(photo), 5, "No space left")
    assert leftovers(desk.out) == ["anna.compare.png", "anna.projected.png"]  # whole; the face counts as not done
    monkeypatch.undo()


def test_results_into_a_full_pipe_end(desk: Desk) -> None:
    import subprocess
    import sys

    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "latentface", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 5
    assert done.stderr == "latentface: cannot write: No space left on device\n"


def test_a_reader_that_leaves_early_is_no_news() -> None:
    import subprocess
    import sys

    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "latentface", "project", "--help"]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.parametrize("command", ["project", "sample"])
def test_an_unknown_network_offers_the_near_ones(desk: Desk, command: str) -> None:
    words = [desk.photo()] if command == "project" else []
    done = desk.run(command, *words, "--network", "synthface-182", "-o", desk.out)
    assert_refused(done, 4, "synthface-182", "synthface-128")
    assert leftovers(desk.out) == []


def test_a_network_file_that_is_none(desk: Desk) -> None:
    broken = desk.folder / "broken.safetensors"
    broken.write_bytes(b"\x00" * 100)
    assert_refused(desk.run("sample", "--network", broken, "-o", desk.folder / "s.png"), 4, "broken.safetensors")


def test_a_latent_made_by_another_network(desk: Desk) -> None:
    assert desk.project(desk.photo()).code == 0
    latent = desk.out / "anna.latent.safetensors"
    sheet = desk.folder / "sheet.png"
    done = desk.run("sample", "--latent", latent, "--network", desk.other_network, "-o", sheet)
    assert_refused(done, 3, "anna.latent.safetensors", "another network", "project the photo again")
    assert not sheet.exists()
    again = desk.run("project", desk.folder / "anna.png", "--network", desk.other_network, "-o", desk.out, "--json")
    assert again.code == 0 and again.json["results"][0]["differs"][0] == "another network"


def test_a_latent_file_that_is_none(desk: Desk) -> None:
    broken = desk.folder / "a.latent.safetensors"
    broken.write_bytes(b"?")
    assert_refused(desk.run("sample", "--latent", broken, "--network", desk.network), 3, "a.latent.safetensors")


def test_a_missing_landmark_file_ends_the_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real predictor loader
    photos = [desk.photo(), desk.photo("ben.png")]
    done = desk.project(*photos, "--landmarks", desk.folder / "none.dat")
    assert_refused(done, 4, "none.dat")
    assert not desk.out.exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["projekt"], "did you mean project"),
        (["project"], "PHOTO"),
        (["project", "x.jpg", "--steps", "-1"], "--steps"),
        (["project", "x.jpg", "--learning-rate", "nan"], "learning_rate"),
        (["project", "x.jpg", "--space", "z"], "--space"),
        (["project", "x.jpg", "--face", "1", "--all-faces"], "exclude each other"),
        (["project", "x.jpg", "--bogus"], "--bogus"),
        (["sample", "--seeds", "5-1"], "backwards"),
        (["sample", "--seeds", "a"], "0-15"),
        (["sample", "--seeds", "0-99999999"], "at most"),
        (["sample", "--seeds", "1", "--latent", "x"], "exclude each other"),
        (["sample", "--device", "warp"], "cuda:N"),
        (["sample", "--device", "cuda:99"], "CUDA devices"),
    ],
)
def test_wrong_usage(desk: Desk, words: list[str], hint: str) -> None:
    if words[0] == "sample":
        words = [*words, "-o", str(desk.folder / "s.png"), "--network", str(desk.network)]
    assert_refused(desk.run(*words), 2, hint)


def test_no_command_shows_the_help(desk: Desk) -> None:
    done = desk.run()
    assert done.code == 2 and "Usage: latentface" in done.err and "project" in done.err


def test_a_fault_of_our_own(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(api, "load_generator", broken)
    assert_refused(desk.run("sample", "-o", desk.folder / "s.png"), 1, "ZeroDivisionError", "--traceback")
    shown = desk.run("sample", "-o", desk.folder / "s.png", "--traceback")
    assert shown.code == 1 and "Traceback" in shown.err and "in broken" in shown.err


def test_a_fault_of_our_own_in_a_batch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = api.project
    photos = [desk.photo(), desk.photo("ben.png", faces=(80,))]

    def broken_once(crops: object, *rest: object, **more: object) -> object:
        monkeypatch.setattr(api, "project", real)
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(api, "project", broken_once)
    done = desk.project(*photos, "--batch", 1, "--json")
    assert done.code == 1 and done.json["done"] == 1 and done.json["failed"] == 1
    assert done.json["results"][0]["error"]["kind"] == "ZeroDivisionError"


def test_an_error_is_an_object_with_json(desk: Desk) -> None:
    done = desk.run("sample", "--network", "nonesuch", "-o", desk.folder / "s.png", "--json")
    assert done.json["exit_code"] == done.json["error"]["exit_code"] == done.code == 4
    assert done.json["error"]["kind"] == "UnknownNetwork"


def test_small_faces_and_large_photos_simply_work(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "detect_faces", DETECT)
    portrait = Image.open(PORTRAIT).convert("RGB")
    large = Image.new("RGB", (8000, 6000), (70, 90, 120))
    large.paste(portrait.resize((4096, 4096)), (2000, 1000))
    large.save(desk.folder / "large.jpg")
    face = DETECT(np.asarray(portrait))[0][0]
    small = round(portrait.width * 60 / (face[2] - face[0]))
    portrait.resize((small, small), Image.Resampling.LANCZOS).save(desk.folder / "small.jpg")
    done = desk.project(desk.folder / "small.jpg", desk.folder / "large.jpg", "--json")
    assert done.code == 0, done.err
    assert done.json["done"] == 2
    sides = {}
    for name in ("small", "large"):
        facts = Latent.load(desk.out / f"{name}.latent.safetensors").metadata
        assert facts is not None
        quad = np.array(json.loads(facts["quad"]))
        sides[name] = np.linalg.norm(quad[3] - quad[0])
    assert sides["large"] / sides["small"] == pytest.approx(4096 / small, rel=0.15)
