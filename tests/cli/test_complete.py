"""`latentface complete`: bad input, and a hole that changes while all around it stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentface as lf
from latentface.cli import run

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with Image.open(PHOTO) as picture:
        picture.convert("RGB").crop((60, 0, 400, 300)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_hole_is_painted_and_every_other_pixel_stays(small: Path) -> None:
    photo = lf.read_image(small)
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[110:130, 150:190] = 255
    Image.fromarray(mask).save("mask.png")
    hidden = photo.copy()
    hidden[mask > 0] = (0, 255, 0)
    Image.fromarray(hidden).save("hidden.png")
    assert run(["complete", "hidden.png", "--mask", "mask.png", "-o", "out.png", "--save-mask", "used.png"]) == 0
    made = lf.read_image("out.png")
    assert np.array_equal(made[mask == 0], photo[mask == 0])
    assert np.array_equal(lf.read_image("used.png")[..., 0], mask)
    error = np.abs(made[mask > 0].astype(float) - photo[mask > 0]).mean()
    assert error < 0.3 * np.abs(hidden[mask > 0].astype(float) - photo[mask > 0]).mean()
    assert np.array_equal(lf.complete(hidden, mask).photo, made)  # the same from Python, and again


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "one of --mask, --box and --remove"),
        (["--box", "1,2,3"], 2, "LEFT,TOP,RIGHT,BOTTOM"),
        (["--box", "0,0,340,300"], 3, "whole photo"),
        (["--box", "900,0,950,9"], 3, "no pixel"),
        (["--box", "1,1,9,9", "--steps", "3"], 2, "--steps has no effect"),
        (["--box", "1,1,340,300"], 3, "whole face"),
        (["--remove", "glasses"], 3, "photo.png: no glasses found"),
        (["--mask", "none.png"], 3, "none.png"),
    ],
)
def test_bad_input_says_what_to_do(
    small: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, text: str
) -> None:
    assert run(["complete", str(small), *words]) == code
    assert text in " ".join(capsys.readouterr().err.split())
    assert not Path("photo.complete.png").exists()


def test_a_photo_without_a_face_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 150), (90, 120, 60)).save("field.png")
    assert run(["complete", "field.png", "--box", "10,10,40,40"]) == 3
