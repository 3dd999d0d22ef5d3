"""`sample`, `weights list`, `doctor`, the help, and what loading them costs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, fields

import numpy as np
import pytest

from latentface import __version__, api
from latentface.cli import COMMANDS
from latentface.cli.sample import parse_seeds
from latentface.errors import UsageError
from latentface.io.images import read_image
from latentface.options.fields import check_bounds, option
from latentface.options.projection import ProjectOptions
from tests.helpers.cli_desk import Desk


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-3", [0, 1, 2, 3]), ("7", [7]), ("1,4,7-9", [1, 4, 7, 8, 9]), (" 2 - 3 , 9", [2, 3, 9])]
)
def test_seed_lists(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "-1", "1,,2", "3-", "a-b", "5-2", "0-10000", "9999999999999999999"])
def test_bad_seed_lists(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


def test_a_sheet_of_seeds(desk: Desk) -> None:
    sheet = desk.folder / "sheet.png"
    words = ("sample", "--network", desk.network, "--seeds", "0-5", "--columns", 3, "-o", sheet, "--no-captions")
    done = desk.run(*words, "--json")
    assert done.code == 0, done.err
    assert done.json["seeds"] == [0, 1, 2, 3, 4, 5] and done.json["files"] == [str(sheet)]
    drawn = read_image(sheet)
    assert drawn.shape == (4 + 2 * 20, 4 + 3 * 20, 3)
    expected = api.sample(api.load_generator(desk.network), [4], 0.7)[0]
    np.testing.assert_array_equal(drawn[24:40, 24:40], expected)  # row 1, column 1
    assert b"/trainedAlgorithmicMedia" in sheet.read_bytes()


def test_captions_take_room_under_the_pictures(desk: Desk) -> None:
    heights = []
    for flag in ("--captions", "--no-captions"):
        path = desk.folder / f"{flag}.png"
        assert desk.run("sample", "--network", desk.network, "--seeds", "1", "-o", path, flag).code == 0
        heights.append(read_image(path).shape[0])
    assert heights[0] > heights[1]


def test_single_pictures_in_a_folder(desk: Desk) -> None:
    done = desk.run("sample", "--network", desk.network, "--seed", 3, "--psi", 1, "-o", desk.out)
    assert done.code == 0, done.err
    assert desk.written() == [f"seed{number:05d}.png" for number in range(3, 19)]
    expected = api.sample(api.load_generator(desk.network), [5], 1.0)[0]
    np.testing.assert_array_equal(read_image(desk.out / "seed00005.png"), expected)


def test_psi_0_is_the_mean_face(desk: Desk) -> None:
    pictures = api.sample(api.load_generator(desk.network), [1, 2], 0.0)
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_a_saved_latent_is_drawn(desk: Desk) -> None:
    assert desk.project(desk.photo()).code == 0
    folder = desk.folder / "drawn"
    done = desk.run("sample", "--network", desk.network, "--latent", desk.out / "anna.latent.safetensors", "-o", folder)
    assert done.code == 0, done.err
    difference = read_image(folder / "anna.png").astype(int) - read_image(desk.out / "anna.projected.png")
    assert np.abs(difference).max() <= 1


def test_two_latents_of_one_name_keep_both(desk: Desk) -> None:
    assert desk.project(desk.photo()).code == 0
    other = desk.folder / "elsewhere"
    other.mkdir()
    latent = desk.out / "anna.latent.safetensors"
    (other / latent.name).write_bytes(latent.read_bytes())
    drawn = desk.folder / "drawn"
    words = ("sample", "--network", desk.network, "--latent", latent, "--latent", other / latent.name, "-o", drawn)
    assert desk.run(*words).code == 0
    assert sorted(path.name for path in drawn.iterdir()) == ["anna-2.png", "anna.png"]


def test_a_sheet_too_large_to_open_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentface.io.images.MAX_PIXELS", 16 * 16 * 4)
    words = ("sample", "--network", desk.network, "-o", desk.folder / "new" / "sheet.png", "--seeds")
    done = desk.run(*words, "0-4")
    assert done.code == 2 and "name a folder" in done.err
    assert not (desk.folder / "new").exists()  # made for the sheet, and gone with it
    assert desk.run(*words, "0-3").code == 0


def test_weights_list(desk: Desk) -> None:
    done = desk.run("weights", "list", "--json")
    rows = {row["name"]: row for row in done.json["weights"]}
    assert {"synthface-128", "landmarks", "perceptual"} <= rows.keys()
    assert all(row["licence"] and len(row["sha256"]) == 64 for row in rows.values())
    table = desk.run("weights", "list")
    assert table.code == done.code == done.json["exit_code"]
    assert all(name in table.out for name in rows)


def test_weights_list_tells_damaged_and_missing_files(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentface.pretrained import catalogue

    monkeypatch.setattr(catalogue, "WEIGHTS_DIR", desk.folder)
    (desk.folder / catalogue.CHECKSUMS).write_text(f"{'0' * 64}  landmarks.safetensors\n")
    (desk.folder / "landmarks.safetensors").write_bytes(b"half of it")
    done = desk.run("weights", "list")
    assert done.code == 4
    state = {line.split()[0]: line for line in done.out.splitlines() if line}
    assert "damaged" in state["landmarks"] and "missing" in state["perceptual"]


def test_doctor_names_every_part(desk: Desk) -> None:
    done = desk.run("doctor", "--network", desk.network, "--json")
    checks = {check["name"]: check for check in done.json["checks"]}
    for name in ("python", "packages", "device", "ops", "drawing", "faces", "pictures", "cache"):
        assert checks[name]["status"] == "ok", checks[name]
    assert checks.keys() > {"weights", "video", "rendering", "dlib68"}
    assert all(check["advice"] for check in checks.values() if check["status"] == "optional")
    assert done.code == done.json["exit_code"]


def test_doctor_says_what_is_broken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentface.pretrained import catalogue

    monkeypatch.setattr(catalogue, "WEIGHTS_DIR", desk.folder)
    done = desk.run("doctor", "--network", desk.network)
    assert done.code == 4
    assert "XX  weights" in done.out and "reinstall latentface" in done.out and "checks are broken" in done.out


def test_version(desk: Desk) -> None:
    assert desk.run("--version").out == f"latentface {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in sorted(COMMANDS)), ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from latentface.cli import run; code = run(sys.argv[1:]);"
        "heavy = {'torch', 'numpy', 'scipy', 'dlib', 'PIL', 'rich', 'sklearn'} & set(sys.modules);"
        "print(heavy, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert done.stdout


@pytest.mark.parametrize(("flags", "shown"), [([], False), (["-Wdefault"], True)])
def test_warnings_are_for_programmers(flags: list[str], shown: bool) -> None:
    code = "import warnings, latentface.cli as c; c.run = lambda: warnings.warn('odd') or 0; c.main()"
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and ("odd" in done.stderr) == shown


def test_every_option_field_is_a_flag(desk: Desk) -> None:
    text = desk.run("project", "--help").out
    for spec in fields(ProjectOptions):
        assert f"--{spec.name.replace('_', '-')}" in text
        assert spec.metadata["help"], f"{spec.name} has no help"


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"space": "z"}, {"learning_rate": -1.0}, {"tune_steps": -1}])
def test_options_check_their_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ProjectOptions(**wrong)


def test_bounds_know_maximum_and_infinity() -> None:
    @dataclass(frozen=True)
    class Dose:
        much: float = option(1.0, "How much.", minimum=0, maximum=2)

    for value in (3.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="much"):
            check_bounds(Dose(value))
    check_bounds(Dose(2.0))
