"""`latentface composite`: halves and masks, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.io.images import read_image
from tests.helpers.cli_desk import Desk


def test_the_second_face_fills_one_half(desk: Desk) -> None:
    first, second = desk.photo("a.png"), desk.photo("b.png")
    done = desk.run("composite", first, second, "--split", "right", "--json", "-o", "out.png")
    assert done.code == 0, done.err
    assert done.json["options"]["blend"] == "multiband"
    assert np.abs(read_image("out.png").astype(int) - read_image(first)).max() <= 2, "a face laid over itself"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "one of --mask and --split"),
        (["--mask", "none.png"], 3, "none.png"),
        (["--mask", "small.png"], 3, "the mask has 4 x 4 pixels"),
        (["--split", "up"], 2, "'up' is not one of"),
        (["--split", "left", "--feather", "0.3"], 2, "--feather has no effect"),
    ],
)
def test_bad_input_says_what_to_do(desk: Desk, words: list[str], code: int, text: str) -> None:
    Image.new("L", (4, 4), 255).save("small.png")
    done = desk.run("composite", desk.photo("a.png"), desk.photo("b.png"), *words)
    assert done.code == code and text in " ".join(done.err.split()), done.err
    assert not Path("a.composite.png").exists()
